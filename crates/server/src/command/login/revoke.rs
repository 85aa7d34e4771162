//! `trunkline login revoke`.

use http::Method;
use serde::{Deserialize, Serialize};
use trunkline_model::SessionId;

use super::HubArgs;
use super::list::Sessions;
use crate::api::Api;
use crate::command::named::user_named;
use crate::output::{Outcome, Output, counted};

/// The answer of `DELETE /api/v1/users/{id}/sessions`.
#[derive(Debug, Serialize, Deserialize)]
struct Revoked {
    /// How many sessions this command ended.
    ended: usize,
}

pub(super) async fn run(
    id: Option<SessionId>,
    user: Option<&str>,
    hub: &HubArgs,
    output: Output,
) -> anyhow::Result<Outcome> {
    let revoked = hub
        .with_api(async |api| match (id, user) {
            (Some(id), _) => end(&id.to_string(), api).await,
            (None, Some(user)) => end_all(user, api).await,
            (None, None) => Ok(Revoked { ended: 0 }),
        })
        .await?;
    if revoked.ended == 0 {
        output.error("there is no such session, or it has ended before");
        return Ok(Outcome::Negative);
    }
    output.result(format_args!("{} ended", counted(revoked.ended, "session")), &revoked);
    Ok(Outcome::Done)
}

async fn end(id: &str, api: &Api) -> anyhow::Result<Revoked> {
    let Sessions { sessions } = api.get("/api/v1/sessions").await?;
    if !sessions.iter().any(|session| session.id == id) {
        return Ok(Revoked { ended: 0 });
    }
    api.tell(Method::DELETE, &format!("/api/v1/sessions/{id}"), &()).await?;
    Ok(Revoked { ended: 1 })
}

async fn end_all(user: &str, api: &Api) -> anyhow::Result<Revoked> {
    let user = user_named(api, user).await?;
    api.ask(Method::DELETE, &format!("/api/v1/users/{}/sessions", user.id), &()).await
}
