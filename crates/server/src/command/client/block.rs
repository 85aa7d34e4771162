//! `trunkline client block`.

use http::Method;
use serde::Serialize;
use serde_json::json;

use super::HubArgs;
use super::list::{Client, path_of};
use crate::output::{Outcome, Output};

#[derive(Debug, Serialize)]
struct Blocked {
    id: String,
    blocked: bool,
    /// Whether it was this command that changed it.
    changed_now: bool,
}

pub(super) async fn run(id: &str, undo: bool, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let path = path_of(id);
    let changed_now = hub
        .with_api(async |api| {
            let before: Client = api.get(&path).await?;
            api.tell(Method::PATCH, &path, &json!({ "blocked": !undo })).await?;
            Ok(before.blocked_at.is_some() == undo)
        })
        .await?;
    let words = match (undo, changed_now) {
        (false, true) => "is blocked, and what users granted it is revoked",
        (false, false) => "was blocked before",
        (true, true) => "is let in again",
        (true, false) => "was not blocked",
    };
    output.result(format_args!("{id} {words}"), &Blocked { id: id.to_owned(), blocked: !undo, changed_now });
    Ok(Outcome::Done)
}
