//! `trunkline key revoke`.

use http::Method;
use serde::Serialize;
use trunkline_model::KeyId;

use super::HubArgs;
use super::list::Keys;
use crate::output::{Outcome, Output};

#[derive(Debug, Serialize)]
struct Revoked {
    id: String,
    /// Whether it was this command that revoked it.
    revoked_now: bool,
}

pub(super) async fn run(id: KeyId, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let id = id.to_string();
    let revoked_now = hub
        .with_api(async |api| {
            let Keys { keys } = api.get("/api/v1/keys").await?;
            api.tell(Method::DELETE, &format!("/api/v1/keys/{id}"), &()).await?;
            Ok(keys.iter().any(|key| key.id == id && key.revoked_at.is_none()))
        })
        .await?;
    let words = if revoked_now { "is revoked" } else { "was revoked before" };
    output.result(format_args!("{id} {words}"), &Revoked { id: id.clone(), revoked_now });
    Ok(Outcome::Done)
}
