//! `trunkline login link`, and the end of `trunkline user reset`.

use http::Method;
use serde::{Deserialize, Serialize};

use super::HubArgs;
use crate::command::named::user_named;
use crate::output::{Outcome, Output};

/// The answer of `POST /api/v1/users/{id}/link` and `…/reset`.
#[derive(Debug, Deserialize)]
pub(in crate::command) struct Link {
    pub(in crate::command) link: String,
}

#[derive(Debug, Serialize)]
struct Made {
    user: String,
    /// Signs the user in, once.
    link: String,
}

/// Prints what `action` of a user answers: `link`, or `reset`, which ends the
/// password and the sessions first.
pub(in crate::command) async fn run(
    user: &str,
    action: &str,
    hub: &HubArgs,
    output: Output,
) -> anyhow::Result<Outcome> {
    let made = hub
        .with_api(async |api| {
            let user = user_named(api, user).await?;
            let path = format!("/api/v1/users/{}/{action}", user.id);
            let Link { link } = api.ask(Method::POST, &path, &()).await?;
            Ok(Made { user: user.login, link })
        })
        .await?;
    output.note(format_args!("{} signs in with this link, once within a day:", made.user));
    output.result(&made.link, &made);
    Ok(Outcome::Done)
}
