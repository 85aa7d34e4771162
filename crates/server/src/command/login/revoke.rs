//! `trunkline login revoke`.

use http::Method;
use serde::{Deserialize, Serialize};
use trunkline_model::SessionId;

use super::HubArgs;
use super::list::Sessions;
use crate::api::Api;
use crate::command::named::user_named;
use crate::output::{Outcome, Output, counted};

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
    let ended = hub.with_api(async |api| end(id, user, api).await).await?;
    if ended == 0 {
        output.error("there is no such session, or it has ended before");
        return Ok(Outcome::Negative);
    }
    output.result(format_args!("{} ended", counted(ended, "session")), &Revoked { ended });
    Ok(Outcome::Done)
}

async fn end(id: Option<SessionId>, user: Option<&str>, api: &Api) -> anyhow::Result<usize> {
    if let Some(user) = user {
        let id = user_named(api, user).await?.id;
        let Revoked { ended } = api.ask(Method::DELETE, &format!("/api/v1/users/{id}/sessions"), &()).await?;
        return Ok(ended);
    }
    let Some(id) = id.map(|id| id.to_string()) else { return Ok(0) };
    let Sessions { sessions } = api.get("/api/v1/sessions").await?;
    if !sessions.iter().any(|session| session.id == id) {
        return Ok(0);
    }
    api.tell(Method::DELETE, &format!("/api/v1/sessions/{id}"), &()).await?;
    Ok(1)
}
