//! `trunkline user create`.

use serde::Serialize;
use trunkline_model::{Clock as _, Role, SystemClock, User, UserKind};
use trunkline_oauth::login::{make_link, new_user_id};

use super::HubArgs;
use crate::command::hub_args::announce_change;
use crate::command::named::public_url;
use crate::output::{Outcome, Output};

/// What user is wanted.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) login: String,
    pub(super) name: Option<String>,
    pub(super) role: Role,
    pub(super) service: bool,
}

#[derive(Debug, Serialize)]
struct Created {
    id: String,
    login: String,
    role: Role,
    kind: UserKind,
    /// Signs the user in, once.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

pub(super) async fn run(wanted: Wanted, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let config = hub.load()?;
    let public_url = public_url(hub, &config).await?;
    let store = hub.store(&config).await?;
    let now = SystemClock.now();
    let user = User {
        id: new_user_id(now),
        kind: if wanted.service { UserKind::Service } else { UserKind::Person },
        name: wanted.name.unwrap_or_else(|| wanted.login.clone()),
        login: wanted.login,
        role: wanted.role,
        created_at: now,
        disabled_at: None,
    };
    if !store.users().insert_new(&user).await? {
        store.close().await;
        output.error(format_args!("there is a user `{}` already", user.login));
        return Ok(Outcome::Negative);
    }
    let link = match user.kind {
        UserKind::Person => Some(make_link(&store, &public_url, user.id, now).await?),
        UserKind::Service => None,
    };
    store.close().await;
    announce_change(&hub.data(), output).await;
    let created = Created {
        id: user.id.to_string(),
        role: user.role,
        kind: user.kind,
        link: link.map(|link| link.expose().to_owned()),
        login: user.login,
    };
    match &created.link {
        Some(link) => {
            output.note(format_args!(
                "{} can sign in with this link, once within a day, and choose a password there:",
                created.login
            ));
            output.result(link, &created);
        }
        None => output.result(&created.id, &created),
    }
    Ok(Outcome::Done)
}
