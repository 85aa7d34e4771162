//! `trunkline client create`.

use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::HubArgs;
use crate::api::Api;
use crate::command::named::user_named;
use crate::output::{Outcome, Output};

/// What client is wanted.
#[derive(Debug, clap::Args)]
pub(super) struct CreateArgs {
    /// The id that the client is configured with.
    #[arg(value_name = "ID")]
    id: String,
    /// What users see; the id when absent.
    #[arg(long, value_name = "TEXT")]
    name: Option<String>,
    /// Where codes may be sent; may be given several times.
    #[arg(long = "redirect-uri", value_name = "URI")]
    redirect_uris: Vec<String>,
    /// Give it a secret.
    #[arg(long)]
    confidential: bool,
    /// The service account that it acts as with its own credentials (client credentials).
    #[arg(long, value_name = "LOGIN")]
    service_account: Option<String>,
    /// Let it exchange tokens of its users for tokens of other profiles (RFC 8693).
    #[arg(long)]
    token_exchange: bool,
    /// Let it present identity assertions of the configured issuers (ID-JAG).
    #[arg(long)]
    assertions: bool,
}

/// The answer of `POST /api/v1/clients`.
#[derive(Debug, Serialize, Deserialize)]
struct Created {
    id: String,
    name: String,
    /// The only time that it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

pub(super) async fn run(args: CreateArgs, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let created = hub.with_new_api(async |api| create(&args, api).await).await?;
    match &created.secret {
        Some(secret) => {
            output.note(format_args!("client {} is made. Its secret is shown this once:", created.id));
            output.result(secret, &created);
        }
        None => output.result(format_args!("client {} is made", created.id), &created),
    }
    Ok(Outcome::Done)
}

async fn create(args: &CreateArgs, api: &Api) -> anyhow::Result<Created> {
    let service_account = match &args.service_account {
        Some(name) => Some(user_named(api, name).await?.id),
        None => None,
    };
    let wanted = json!({
        "id": args.id,
        "name": args.name,
        "redirect_uris": args.redirect_uris,
        "confidential": args.confidential,
        "service_account": service_account,
        "token_exchange": args.token_exchange,
        "assertions": args.assertions,
    });
    api.ask(Method::POST, "/api/v1/clients", &wanted).await
}
