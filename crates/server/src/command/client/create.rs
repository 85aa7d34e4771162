//! `trunkline client create`.

use anyhow::{anyhow, bail};
use serde::Serialize;
use trunkline_model::{Clock as _, SystemClock, User, UserKind};
use trunkline_oauth::server::{NewClient, create_client};
use trunkline_storage::Store;

use super::HubArgs;
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

#[derive(Debug, Serialize)]
struct Created {
    id: String,
    name: String,
    /// The only time that it is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

pub(super) async fn run(args: CreateArgs, hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let config = hub.load()?;
    let store = hub.store(&config).await?;
    let outcome = create(args, &store).await;
    store.close().await;
    let created = outcome?;
    match &created.secret {
        Some(secret) => {
            output.note(format_args!("client {} is made. Its secret is shown this once:", created.id));
            output.result(secret, &created);
        }
        None => output.result(format_args!("client {} is made", created.id), &created),
    }
    Ok(Outcome::Done)
}

async fn create(args: CreateArgs, store: &Store) -> anyhow::Result<Created> {
    let service_user = match &args.service_account {
        Some(login) => Some(service_account(store, login).await?.id),
        None => None,
    };
    let wanted = NewClient {
        name: args.name.unwrap_or_else(|| args.id.clone()),
        id: args.id,
        redirect_uris: args.redirect_uris,
        confidential: args.confidential,
        service_user,
        token_exchange: args.token_exchange,
        assertions: args.assertions,
    };
    let (client, secret) = create_client(wanted, &mut rand::rng(), SystemClock.now())?;
    if !store.clients().insert(&client).await? {
        bail!("there is a client {} already", client.id);
    }
    let secret = secret.map(|secret| secret.expose().to_owned());
    Ok(Created { id: client.id, name: client.name, secret })
}

async fn service_account(store: &Store, login: &str) -> anyhow::Result<User> {
    let users = store.users().list().await?;
    let user = users.into_iter().find(|user| user.login.eq_ignore_ascii_case(login));
    let user = user.ok_or_else(|| anyhow!("there is no user `{login}`"))?;
    if user.kind != UserKind::Service {
        bail!("`{login}` is a person; a client that acts by itself needs a service account");
    }
    Ok(user)
}
