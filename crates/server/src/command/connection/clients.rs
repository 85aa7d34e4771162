//! `trunkline connection clients`.

use clap::Subcommand;
use http::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use trunkline_model::ServerName;

use super::HubArgs;
use crate::api::segment;
use crate::output::{Outcome, Output, Table};

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  trunkline connection clients list
  trunkline connection clients rotate tracker
  trunkline connection clients pause tracker")]
pub(super) struct ClientsArgs {
    #[command(subcommand)]
    command: ClientsCommand,
}

#[derive(Debug, Subcommand)]
enum ClientsCommand {
    /// List the clients: how each came to be, its age, and what stands on it.
    #[command(after_help = "Example:
  trunkline connection clients list --json | jq '.clients[] | {server, client_id, connections}'")]
    List {
        #[command(flatten)]
        hub: HubArgs,
    },
    /// Give a dynamically registered client a new secret; connections go on.
    #[command(after_help = "Example:
  trunkline connection clients rotate tracker")]
    Rotate(One),
    /// Register a client anew. Its connections end, and their grants are revoked.
    #[command(after_help = "Example:
  trunkline connection clients register tracker")]
    Register(One),
    /// Stop the use of a client: no token of it is sent or refreshed.
    #[command(after_help = "Example:
  trunkline connection clients pause tracker")]
    Pause(One),
    /// Use a paused client again.
    #[command(after_help = "Example:
  trunkline connection clients resume tracker")]
    Resume(One),
    /// Remove a client. Its connections end, and their grants are revoked.
    #[command(after_help = "Example:
  trunkline connection clients delete tracker")]
    Delete(One),
}

/// A client.
#[derive(Debug, clap::Args)]
struct One {
    /// The name of its server.
    #[arg(value_parser = ServerName::new)]
    server: ServerName,
    /// Its authorization server, where the hub has had several clients for the server.
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    #[command(flatten)]
    hub: HubArgs,
}

/// `GET /api/v1/upstream-clients`.
#[derive(Debug, Serialize, Deserialize)]
struct Clients {
    clients: Vec<Client>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Client {
    server: String,
    issuer: String,
    client_id: String,
    registered_by: String,
    connections: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    paused_at: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_error: Option<String>,
    /// What the table has no room for.
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Debug, Serialize)]
struct Done {
    server: String,
    done: &'static str,
}

pub(super) async fn run(args: ClientsArgs, output: Output) -> anyhow::Result<Outcome> {
    let (one, done) = match args.command {
        ClientsCommand::List { hub } => return list(&hub, output).await,
        ClientsCommand::Rotate(one) => (one, "rotate"),
        ClientsCommand::Register(one) => (one, "register"),
        ClientsCommand::Pause(one) => (one, "pause"),
        ClientsCommand::Resume(one) => (one, "resume"),
        ClientsCommand::Delete(one) => (one, "delete"),
    };
    let at = one.issuer.map(|issuer| format!("?issuer={}", segment(&issuer))).unwrap_or_default();
    let path = format!("/api/v1/upstream-clients/{}", one.server);
    let (method, path) = match done {
        "delete" => (Method::DELETE, format!("{path}{at}")),
        action => (Method::POST, format!("{path}/{action}{at}")),
    };
    one.hub.with_api(async |api| api.tell(method, &path, &()).await).await?;
    let words = match done {
        "rotate" => "has a new secret",
        "register" => "is registered anew; its connections ended",
        "pause" => "is paused",
        "resume" => "is used again",
        _ => "is removed; its connections ended",
    };
    let server = one.server.to_string();
    output.result(format_args!("the client for {server} {words}"), &Done { server: server.clone(), done });
    Ok(Outcome::Done)
}

async fn list(hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    let found: Clients = hub.with_api(async |api| api.get("/api/v1/upstream-clients").await).await?;
    let header = ["SERVER", "ISSUER", "CLIENT", "BY", "CONNECTIONS", "STATE"];
    let mut table = Table::with_header(&header);
    for client in &found.clients {
        let state = match (&client.paused_at, &client.last_error) {
            (Some(_), _) => "paused".to_owned(),
            (None, Some(error)) => format!("last error: {error}"),
            (None, None) => "in use".to_owned(),
        };
        table.row([
            client.server.clone(),
            client.issuer.clone(),
            client.client_id.clone(),
            client.registered_by.clone(),
            client.connections.to_string(),
            state,
        ]);
    }
    output.result(table, &found);
    Ok(Outcome::Done)
}
