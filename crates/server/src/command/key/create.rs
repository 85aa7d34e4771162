//! `trunkline key create`.

use std::time::Duration;

use serde::Serialize;
use trunkline_model::{ApiKey, Clock as _, KeyOwner, ProfileName, Secret, SystemClock, Timestamp};
use trunkline_oauth::keys::NewKey;
use trunkline_storage::Store;

use super::HubArgs;
use crate::command::hub_args::{announce_change, require_profile};
use crate::command::named::{team_named, user_named};
use crate::config::Config;
use crate::control::{Control, Profiles};
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

impl OwnerName {
    async fn find(&self, store: &Store) -> anyhow::Result<KeyOwner> {
        Ok(match self {
            Self::User(name) => KeyOwner::User(user_named(store, name).await?.id),
            Self::Team(name) => KeyOwner::Team(team_named(store, name).await?.id),
        })
    }
}

#[derive(Debug, Serialize)]
struct Created {
    id: String,
    name: String,
    profile: ProfileName,
    /// The only time that it is shown.
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

pub(super) async fn run(wanted: Wanted, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let config = hub.load()?;
    require_profile(&known_profiles(hub, &config).await?, &wanted.profile)?;
    let store = hub.store(&config).await?;
    let (stored, key) = create(&store, wanted, SystemClock.now()).await?;
    store.close().await;
    announce_change(&hub.data(), output).await;
    let created = Created {
        id: stored.id.to_string(),
        key: key.expose().to_owned(),
        expires_at: stored.expires_at.as_ref().map(Timestamp::to_string),
        name: stored.name,
        profile: stored.profile,
    };
    output.note(format_args!(
        "{} opens the profile `{}`. The key is shown this once:",
        created.id, created.profile
    ));
    output.result(&created.key, &created);
    Ok(Outcome::Done)
}

/// The profiles that the running hub serves, or else those of the configuration.
async fn known_profiles(hub: &HubArgs, config: &Config) -> anyhow::Result<Vec<String>> {
    match Control::connect(&hub.data()).await? {
        Some(control) => {
            let Profiles { profiles } = control.get("/api/v1/profiles").await?;
            Ok(profiles.into_iter().map(|profile| profile.name).collect())
        }
        None => Ok(config.profiles.keys().map(ToString::to_string).collect()),
    }
}

/// Makes a key and stores what is kept of it.
///
/// # Errors
/// The database's.
pub(in crate::command) async fn create(
    store: &Store,
    wanted: Wanted,
    now: Timestamp,
) -> anyhow::Result<(ApiKey, Secret)> {
    let owner = match &wanted.owner {
        Some(owner) => Some(owner.find(store).await?),
        None => None,
    };
    let wanted = NewKey { profile: wanted.profile, name: wanted.name, owner, lifetime: wanted.expires };
    let (key, secret) = wanted.make(&mut rand::rng(), now);
    store.keys().insert(&key).await?;
    Ok((key, secret))
}
