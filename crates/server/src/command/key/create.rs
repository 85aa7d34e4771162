//! `trunkline key create`.

use std::time::Duration;

use serde::Serialize;
use trunkline_model::{ApiKey, Clock as _, ProfileName, Secret, SystemClock, Timestamp};
use trunkline_oauth::keys;
use trunkline_storage::Store;

use super::HubArgs;
use crate::command::hub_args::{announce_change, require_profile};
use crate::config::Config;
use crate::control::{Control, Profiles};
use crate::output::{Outcome, Output};

/// What key is wanted.
#[derive(Debug)]
pub(in crate::command) struct Wanted {
    pub(in crate::command) profile: ProfileName,
    pub(in crate::command) name: String,
    pub(in crate::command) expires: Option<Duration>,
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
    let (minted, id) = {
        let mut random = rand::rng();
        (keys::mint(&mut random), keys::mint_id(&mut random, now))
    };
    let key = ApiKey {
        id,
        name: wanted.name,
        hash: minted.hash,
        hint: minted.hint,
        profile: wanted.profile,
        owner: None,
        created_at: now,
        expires_at: wanted.expires.map(|lifetime| now.plus(lifetime)),
        revoked_at: None,
    };
    store.keys().insert(&key).await?;
    Ok((key, minted.key))
}
