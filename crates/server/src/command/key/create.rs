//! `trunkline key create`.

use std::time::Duration;

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use trunkline_model::ProfileName;

use super::HubArgs;
use crate::api::Api;
use crate::command::hub_args::require_profile;
use crate::command::named::{team_named, user_named};
use crate::control::Profiles;
use crate::output::{Outcome, Output};

/// What key is wanted.
#[derive(Debug)]
pub(in crate::command) struct Wanted {
    pub(in crate::command) profile: ProfileName,
    pub(in crate::command) name: String,
    pub(in crate::command) expires: Option<Duration>,
    /// None for a key that stands for itself alone.
    pub(in crate::command) owner: Option<OwnerName>,
}

/// Whose a key is to be, by name or id.
#[derive(Debug, Clone)]
pub(in crate::command) enum OwnerName {
    User(String),
    Team(String),
}

/// The answer of `POST /api/v1/keys`.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::command) struct Created {
    id: String,
    name: String,
    profile: ProfileName,
    /// The only time that it is shown.
    pub(in crate::command) key: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

pub(super) async fn run(wanted: Wanted, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    require_profile(&known_profiles(hub).await?, &wanted.profile)?;
    let created = hub.with_new_api(async |api| create(&wanted, api).await).await?;
    output.note(format_args!(
        "{} opens the profile `{}`. The key is shown this once:",
        created.id, created.profile
    ));
    output.result(&created.key, &created);
    Ok(Outcome::Done)
}

/// The profiles that the running hub serves, or else those of the configuration.
async fn known_profiles(hub: &HubArgs) -> anyhow::Result<Vec<String>> {
    match Api::running(hub.data()).await? {
        Some(api) => {
            let Profiles { profiles } = api.get("/api/v1/profiles").await?;
            Ok(profiles.into_iter().map(|profile| profile.name).collect())
        }
        None => Ok(hub.load()?.profiles.keys().map(ToString::to_string).collect()),
    }
}

/// Makes a key.
///
/// # Errors
/// The owner is not there, or the hub's.
pub(in crate::command) async fn create(wanted: &Wanted, api: &Api) -> anyhow::Result<Created> {
    let owner = match &wanted.owner {
        None => None,
        Some(OwnerName::User(name)) => Some(format!("user:{}", user_named(api, name).await?.id)),
        Some(OwnerName::Team(name)) => Some(format!("team:{}", team_named(api, name).await?.id)),
    };
    let body = json!({
        "profile": wanted.profile,
        "name": wanted.name,
        "owner": owner,
        "lifetime_seconds": wanted.expires.map(|lifetime| lifetime.as_secs()),
    });
    api.ask(Method::POST, "/api/v1/keys", &body).await
}
