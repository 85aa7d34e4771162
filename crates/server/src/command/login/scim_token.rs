//! `trunkline login scim-token`.

use serde::Serialize;
use trunkline_model::{Clock as _, SystemClock};
use trunkline_oauth::keys::Form;

use super::HubArgs;
use crate::command::hub_args::announce_change;
use crate::command::named::public_url;
use crate::output::{Outcome, Output};

#[derive(Debug, Serialize)]
struct Made {
    /// What the directory is told to call.
    url: String,
    /// The only time that it is shown; none when there is none any more.
    token: Option<String>,
}

pub(super) async fn run(revoke: bool, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let config = hub.load()?;
    let url = format!("{}/scim/v2", public_url(hub, &config).await?);
    let store = hub.store(&config).await?;
    let minted = (!revoke).then(|| Form::DIRECTORY.mint(&mut rand::rng()));
    let hash = minted.as_ref().map(|minted| minted.hash);
    store.users().set_directory_token(hash, SystemClock.now()).await?;
    store.close().await;
    announce_change(&hub.data(), output).await;
    let made = Made { url, token: minted.map(|minted| minted.key.expose().to_owned()) };
    match &made.token {
        Some(token) => {
            output.note(format_args!(
                "The directory calls {} with this bearer token, shown this once. One made before is good no more.",
                made.url
            ));
            output.result(token, &made);
        }
        None => output.result("no directory is let in", &made),
    }
    Ok(Outcome::Done)
}
