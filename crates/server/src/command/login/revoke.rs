//! `trunkline login revoke`.

use http::Method;
use serde::Serialize;
use trunkline_model::SessionId;

use super::HubArgs;
use super::list::Sessions;
use crate::api::Api;
use crate::command::named::user_named;
use crate::output::{Outcome, Output, counted};

#[derive(Debug, Serialize)]
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
    let (id, user) = match (id, user) {
        (Some(id), _) => (Some(id.to_string()), None),
        (None, Some(user)) => (None, Some(user_named(api, user).await?.id)),
        (None, None) => (None, None),
    };
    let Sessions { sessions } = api.get("/api/v1/sessions").await?;
    let meant = sessions
        .into_iter()
        .filter(|session| Some(&session.id) == id.as_ref() || Some(&session.user) == user.as_ref());
    let mut ended = 0;
    for session in meant {
        api.tell(Method::DELETE, &format!("/api/v1/sessions/{}", session.id), &()).await?;
        ended += 1;
    }
    Ok(ended)
}
