//! `trunkline user delete`.

use http::Method;
use serde::Serialize;

use super::HubArgs;
use crate::command::named::user_named;
use crate::output::{Outcome, Output};

#[derive(Debug, Serialize)]
struct Deleted {
    id: String,
    login: String,
}

pub(super) async fn run(user: &str, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let user = hub
        .with_api(async |api| {
            let user = user_named(api, user).await?;
            api.tell(Method::DELETE, &format!("/api/v1/users/{}", user.id), &()).await?;
            Ok(user)
        })
        .await?;
    let deleted = Deleted { id: user.id, login: user.login };
    output.result(format_args!("{} is deleted", deleted.login), &deleted);
    Ok(Outcome::Done)
}
