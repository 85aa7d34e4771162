//! `trunkline user set-role`, `disable` and `enable`.

use http::Method;
use serde::Serialize;
use trunkline_model::Role;

use super::HubArgs;
use crate::command::named::{User, user_named};
use crate::output::{Outcome, Output};

/// What is to be another; what is none stays.
#[derive(Debug, Default, Serialize)]
pub(super) struct Change {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) role: Option<Role>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) disabled: Option<bool>,
}

pub(super) async fn run(
    user: &str,
    change: Change,
    hub: &HubArgs,
    output: Output,
) -> anyhow::Result<Outcome> {
    let changed: User = hub
        .with_api(async |api| {
            let user = user_named(api, user).await?;
            api.ask(Method::PATCH, &format!("/api/v1/users/{}", user.id), &change).await
        })
        .await?;
    let state = if changed.disabled_at.is_none() { "enabled" } else { "disabled" };
    output.result(format_args!("{}: {}, {state}", changed.login, changed.role.as_str()), &changed);
    Ok(Outcome::Done)
}
