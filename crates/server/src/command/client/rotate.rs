//! `trunkline client rotate`.

use std::time::Duration;

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::HubArgs;
use crate::api::segment;
use crate::output::{Outcome, Output};

/// The answer of `POST /api/v1/client-secrets/{id}`.
#[derive(Debug, Serialize, Deserialize)]
struct Rotated {
    id: String,
    /// The only time that it is shown.
    secret: String,
    /// Until then the secret before it is good.
    previous_until: String,
}

pub(super) async fn run(id: &str, grace: Duration, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let path = format!("/api/v1/client-secrets/{}", segment(id));
    let wanted = json!({ "grace_seconds": grace.as_secs() });
    let rotated: Rotated = hub.with_api(async |api| api.ask(Method::POST, &path, &wanted).await).await?;
    output.note(format_args!(
        "The secret of {id} before this one is good until {}. The new one is shown this once:",
        rotated.previous_until
    ));
    output.result(&rotated.secret, &rotated);
    Ok(Outcome::Done)
}
