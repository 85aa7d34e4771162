//! `trunkline key rotate`.

use std::time::Duration;

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;
use trunkline_model::KeyId;

use super::HubArgs;
use crate::output::{Outcome, Output};

/// The answer of `POST /api/v1/keys/{id}/rotate`.
#[derive(Debug, Serialize, Deserialize)]
struct Rotated {
    id: String,
    /// The only time that it is shown.
    key: String,
    /// Until then the secret before it is good.
    previous_until: String,
}

pub(super) async fn run(
    id: KeyId,
    grace: Duration,
    hub: &HubArgs,
    output: Output,
) -> anyhow::Result<Outcome> {
    let (path, wanted) = (format!("/api/v1/keys/{id}/rotate"), json!({ "grace_seconds": grace.as_secs() }));
    let rotated: Rotated = hub.with_api(async |api| api.ask(Method::POST, &path, &wanted).await).await?;
    output.note(format_args!(
        "The secret of {id} before this one is good until {}. The new one is shown this once:",
        rotated.previous_until
    ));
    output.result(&rotated.key, &rotated);
    Ok(Outcome::Done)
}
