//! `trunkline client delete`.

use http::Method;
use serde::Serialize;

use super::HubArgs;
use super::list::path_of;
use crate::output::{Outcome, Output};

#[derive(Debug, Serialize)]
struct Deleted {
    id: String,
}

pub(super) async fn run(id: &str, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    hub.with_api(async |api| api.tell(Method::DELETE, &path_of(id), &()).await).await?;
    output.result(format_args!("{id} is deleted"), &Deleted { id: id.to_owned() });
    Ok(Outcome::Done)
}
