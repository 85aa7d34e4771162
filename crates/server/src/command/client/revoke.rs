//! `trunkline client revoke`.

use http::Method;
use serde::Serialize;
use trunkline_model::GrantId;

use super::HubArgs;
use super::grants::Grants;
use crate::output::{Outcome, Output};

#[derive(Debug, Serialize)]
struct Revoked {
    id: String,
    /// Whether it was this command that revoked it.
    revoked_now: bool,
}

pub(super) async fn run(id: GrantId, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let id = id.to_string();
    let revoked_now = hub
        .with_api(async |api| {
            let Grants { grants } = api.get("/api/v1/grants").await?;
            api.tell(Method::DELETE, &format!("/api/v1/grants/{id}"), &()).await?;
            Ok(grants.iter().any(|grant| grant.id == id && grant.revoked_at.is_none()))
        })
        .await?;
    let words = if revoked_now { "is revoked" } else { "was revoked before" };
    output.result(format_args!("{id} {words}"), &Revoked { id: id.clone(), revoked_now });
    Ok(Outcome::Done)
}
