//! `trunkline server list`.

use serde::Serialize;
use trunkline_model::{Endpoint, ServerSpec};

use super::HubArgs;
use crate::control::{Control, ServerState, Servers};
use crate::output::{Outcome, Output, Table};

#[derive(Debug, Serialize)]
struct Running {
    running: bool,
    servers: Vec<ServerState>,
}

#[derive(Debug, Serialize)]
struct Configured {
    running: bool,
    servers: Vec<ConfiguredServer>,
}

#[derive(Debug, Serialize)]
struct ConfiguredServer {
    name: String,
    kind: &'static str,
    target: String,
}

pub(super) async fn run(hub: &HubArgs, output: Output) -> anyhow::Result<Outcome> {
    if let Some(control) = Control::connect(&hub.data()).await? {
        let Servers { servers } = control.get("/api/v1/servers").await?;
        output.result(table_of_states(&servers), &Running { running: true, servers });
    } else {
        let servers: Vec<ConfiguredServer> = hub.load()?.servers.values().map(configured).collect();
        output.note(format_args!("no hub runs on {}: the configuration says", hub.data().path().display()));
        output.result(table_of_configuration(&servers), &Configured { running: false, servers });
    }
    Ok(Outcome::Done)
}

fn table_of_states(servers: &[ServerState]) -> Table {
    let mut table = Table::with_header(&["NAME", "KIND", "STATE", "INSTANCES", "LAST ANSWER", "TARGET"]);
    for server in servers {
        let state = match &server.state.reason {
            Some(reason) => format!("{} ({reason})", server.state.is),
            None => server.state.is.clone(),
        };
        let last = server.last_exchange.clone().unwrap_or_else(|| "never".to_owned());
        let instances = server.instances.to_string();
        table.row([server.name.clone(), server.kind.clone(), state, instances, last, server.target.clone()]);
    }
    table
}

fn table_of_configuration(servers: &[ConfiguredServer]) -> Table {
    let mut table = Table::with_header(&["NAME", "KIND", "TARGET"]);
    for server in servers {
        table.row([server.name.clone(), server.kind.to_owned(), server.target.clone()]);
    }
    table
}

fn configured(server: &ServerSpec) -> ConfiguredServer {
    let (kind, target) = match &server.endpoint {
        Endpoint::Stdio(command) => {
            ("stdio", format!("{} {}", command.program, command.args.join(" ")).trim_end().to_owned())
        }
        Endpoint::Http(endpoint) => ("http", endpoint.url.clone()),
    };
    ConfiguredServer { name: server.name.to_string(), kind, target }
}
