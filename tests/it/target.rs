//! What a client program is pointed at.

use std::fmt::Write as _;

use anyhow::Result;
use trunkline_tests::client_program::Client;
use trunkline_tests::hub::TestHub;
use trunkline_tests::packages::StdioServer;
use trunkline_tests::reference_server::ReferenceServer;

/// An endpoint with a key.
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) key: String,
    /// What stands before the names of the everything server's tools.
    pub(crate) prefix: &'static str,
    hub: Option<TestHub>,
}

impl Target {
    /// A hub whose profile shows the everything server alone and under its own
    /// names.
    pub(crate) async fn transparent(client: &Client) -> Result<Self> {
        let hub = TestHub::start(&configuration(
            &[("everything", client.packages.stdio_server(StdioServer::Everything, &["stdio"]))],
            "everything: { prefix: \"\" }",
        ))
        .await?;
        Self::of(hub, "").await
    }

    /// A hub whose profile shows three servers under prefixed names: the
    /// everything server, the memory server and the time server.
    pub(crate) async fn three_servers(client: &Client) -> Result<Self> {
        let packages = &client.packages;
        let hub = TestHub::start(&configuration(
            &[
                ("everything", packages.stdio_server(StdioServer::Everything, &["stdio"])),
                ("memory", packages.stdio_server(StdioServer::Memory, &[])),
                ("time", packages.stdio_server(StdioServer::Time, &["--local-timezone", "UTC"])),
            ],
            "everything: {}\n      memory: {}\n      time: {}",
        ))
        .await?;
        Self::of(hub, "everything__").await
    }

    /// A hub whose profile shows the reference server alone.
    pub(crate) async fn reference(server: &ReferenceServer) -> Result<Self> {
        let hub = TestHub::start(&format!(
            "servers:\n  reference: {{ url: {:?} }}\nprofiles:\n  \
             team: {{ auth: api_key, servers: {{ reference: {{ prefix: \"\" }} }} }}\n",
            server.url
        ))
        .await?;
        Self::of(hub, "").await
    }

    /// The profile `team` of a hub that shows one server under its own names.
    pub(crate) async fn transparent_of(hub: TestHub) -> Result<Self> {
        Self::of(hub, "").await
    }

    async fn of(hub: TestHub, prefix: &'static str) -> Result<Self> {
        let key = hub.create_key("team").await?;
        hub.until_listed(&hub.endpoint("team").with_key(&key)).await?;
        Ok(Self { url: hub.url("team"), key, prefix, hub: Some(hub) })
    }

    /// Any endpoint; the key is one that it does not look at.
    pub(crate) fn direct(url: &str) -> Self {
        Self { url: url.to_owned(), key: "unused".to_owned(), prefix: "", hub: None }
    }

    /// The shown name of one of the everything server's tools.
    pub(crate) fn tool(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// What the hub has written: for the message of a failing test.
    pub(crate) fn log(&self) -> String {
        self.hub.as_ref().map(TestHub::output).unwrap_or_default()
    }
}

/// A configuration with stdio servers and a profile `team` that takes keys.
pub(crate) fn configuration(servers: &[(&str, Vec<String>)], selection: &str) -> String {
    let mut text = "servers:\n".to_owned();
    for (name, line) in servers {
        let (command, arguments) = line.split_first().expect("a command line has a program");
        let arguments = serde_json::to_string(arguments).expect("strings are JSON");
        writeln!(text, "  {name}: {{ command: {command:?}, args: {arguments} }}")
            .expect("a string takes all");
    }
    text + "profiles:\n  team:\n    auth: api_key\n    servers:\n      " + selection + "\n"
}
