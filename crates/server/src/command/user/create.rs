//! `trunkline user create`.

use http::Method;
use serde::Serialize;
use trunkline_model::{Role, UserKind};

use super::HubArgs;
use crate::api::Api;
use crate::command::login::link::Link;
use crate::command::named::User;
use crate::output::{Outcome, Output};

/// What user is wanted.
#[derive(Debug, Serialize)]
pub(super) struct Wanted {
    pub(super) login: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    pub(super) role: Role,
    pub(super) kind: UserKind,
}

#[derive(Debug, Serialize)]
struct Created {
    #[serde(flatten)]
    user: User,
    /// Signs the user in, once.
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

pub(super) async fn run(wanted: Wanted, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let created = hub.with_new_api(async |api| create(&wanted, api).await).await?;
    match &created.link {
        Some(link) => {
            output.note(format_args!(
                "{} can sign in with this link, once within a day, and choose a password there:",
                created.user.login
            ));
            output.result(link, &created);
        }
        None => output.result(&created.user.id, &created),
    }
    Ok(Outcome::Done)
}

async fn create(wanted: &Wanted, api: &Api) -> anyhow::Result<Created> {
    let user: User = api.ask(Method::POST, "/api/v1/users", wanted).await?;
    let link = match user.kind {
        UserKind::Service => None,
        UserKind::Person => {
            let path = format!("/api/v1/users/{}/link", user.id);
            Some(api.ask::<Link>(Method::POST, &path, &()).await?.link)
        }
    };
    Ok(Created { user, link })
}
