//! `trunkline login scim-token`.

use http::Method;
use serde::{Deserialize, Serialize};

use super::HubArgs;
use crate::output::{Outcome, Output};

const PATH: &str = "/api/v1/scim-token";

/// The answer of `POST /api/v1/scim-token`.
#[derive(Debug, Serialize, Deserialize)]
struct Made {
    /// What the directory is told to call.
    url: String,
    /// The only time that it is shown.
    token: String,
}

#[derive(Debug, Serialize)]
struct Revoked {
    /// There is none any more.
    token: (),
}

pub(super) async fn run(revoke: bool, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    if revoke {
        hub.with_api(async |api| api.tell(Method::DELETE, PATH, &()).await).await?;
        output.result("no directory is let in", &Revoked { token: () });
        return Ok(Outcome::Done);
    }
    let made: Made = hub.with_new_api(async |api| api.ask(Method::POST, PATH, &()).await).await?;
    output.note(format_args!(
        "The directory calls {} with this bearer token, shown this once. One made before is good no more.",
        made.url
    ));
    output.result(&made.token, &made);
    Ok(Outcome::Done)
}
