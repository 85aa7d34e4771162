//! `trunkline profile list`.

use serde::Serialize;
use trunkline_model::ProfileSpec;

use super::HubArgs;
use crate::config::Config;
use crate::control::{Control, Profile, Profiles};
use crate::output::{Outcome, Output, Table};

#[derive(Debug, Serialize)]
struct Listed {
    /// Whether a hub runs on the data directory; only then do the endpoints answer.
    running: bool,
    profiles: Vec<Profile>,
}

pub(super) async fn run(hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let listed = if let Some(control) = Control::connect(&hub.data()).await? {
        let Profiles { profiles } = control.get("/api/v1/profiles").await?;
        Listed { running: true, profiles }
    } else {
        output.note(format_args!("no hub runs on {}: the configuration says", hub.data().path().display()));
        let config = hub.load()?;
        let profiles = config.profiles.values().map(|profile| configured(&config, profile)).collect();
        Listed { running: false, profiles }
    };
    output.result(table(&listed.profiles), &listed);
    Ok(Outcome::Done)
}

fn configured(config: &Config, profile: &ProfileSpec) -> Profile {
    Profile {
        name: profile.name.to_string(),
        auth: profile.auth.as_str().to_owned(),
        endpoint: format!("{}/mcp/{}", config.base_url(config.listen), profile.name),
        servers: profile.servers.keys().map(ToString::to_string).collect(),
        description: config.profile_descriptions.get(&profile.name).cloned(),
    }
}

fn table(profiles: &[Profile]) -> Table {
    let mut table = Table::with_header(&["NAME", "AUTH", "ENDPOINT", "SERVERS"]);
    for profile in profiles {
        let servers = profile.servers.join(", ");
        table.row([profile.name.clone(), profile.auth.clone(), profile.endpoint.clone(), servers]);
    }
    table
}
