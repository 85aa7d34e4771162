//! `trunkline login link`, and the end of `trunkline user reset`.

use serde::Serialize;
use trunkline_model::{Clock as _, SystemClock, UserKind};
use trunkline_oauth::login::make_link;

use super::HubArgs;
use crate::command::hub_args::announce_change;
use crate::command::named::{public_url, user_named};
use crate::output::{Outcome, Output};

/// What happens before the link is made.
#[derive(Debug, Clone, Copy)]
pub(in crate::command) enum Before {
    Nothing,
    /// The password goes, and every session ends.
    Reset,
}

#[derive(Debug, Serialize)]
struct Made {
    user: String,
    /// Signs the user in, once.
    link: String,
}

pub(in crate::command) async fn run(
    user: &str,
    before: Before,
    hub: &HubArgs,
    output: Output,
) -> anyhow::Result<Outcome> {
    let config = hub.load()?;
    let public_url = public_url(hub, &config).await?;
    let store = hub.existing_store(&config).await?;
    let user = user_named(&store, user).await?;
    let refusal = match (user.kind, user.disabled_at) {
        (UserKind::Service, _) => Some("is a service account; nobody signs in as it"),
        (UserKind::Person, Some(_)) => Some("is disabled; enable the user first"),
        (UserKind::Person, None) => None,
    };
    if let Some(words) = refusal {
        store.close().await;
        output.error(format_args!("`{}` {words}", user.login));
        return Ok(Outcome::Negative);
    }
    let now = SystemClock.now();
    if matches!(before, Before::Reset) {
        store.users().set_password(user.id, None, now).await?;
    }
    let link = make_link(&store, &public_url, user.id, now).await?;
    store.close().await;
    announce_change(&hub.data(), output).await;
    let made = Made { user: user.login, link: link.expose().to_owned() };
    output.note(format_args!("{} signs in with this link, once within a day:", made.user));
    output.result(&made.link, &made);
    Ok(Outcome::Done)
}
