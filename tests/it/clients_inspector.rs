//! The command line of the MCP Inspector, in each era it can be told to speak.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use tokio::process::Command;
use trunkline_tests::client_program::Client;
use trunkline_tests::reference_server::ReferenceServer;

use crate::target::Target;

/// Runs one method and gives what it printed. The key goes by a header.
pub(crate) async fn inspect(client: &Client, target: &Target, era: &str, method: &[&str]) -> Result<Value> {
    let mut command = client.command(&client.packages.npm_bin("mcp-inspector"));
    command.args(["--cli", "--server-url", &target.url, "--transport", "http", "--protocol-era", era]);
    command.args(["--header", &format!("Authorization: Bearer {}", target.key)]);
    command.args(["--stored-auth-only", "--format", "json", "--method"]).args(method);
    let printed = client.run(command).await?.success().with_context(|| format!("{method:?} as {era}"))?;
    let value: Value = serde_json::from_str(&printed).with_context(|| printed.clone())?;
    Ok(value["result"].clone())
}

/// Lists and uses tools, resources and prompts of the everything server.
pub(crate) async fn use_everything(client: &Client, target: &Target, era: &str) -> Result<()> {
    let tools = inspect(client, target, era, &["tools/list"]).await?;
    let echo = target.tool("echo");
    assert!(names(&tools["tools"], "name").contains(&echo), "{tools}");
    let call = ["tools/call", "--tool-name", &echo, "--tool-args-json", r#"{"message":"hi"}"#];
    let called = inspect(client, target, era, &call).await?;
    assert_eq!(called["content"][0]["text"], "Echo: hi");
    let resources = inspect(client, target, era, &["resources/list"]).await?;
    let uri = resources["resources"][0]["uri"].as_str().context("no resource")?;
    let read = inspect(client, target, era, &["resources/read", "--uri", uri]).await?;
    assert_eq!(read["contents"][0]["uri"], uri);
    let prompts = inspect(client, target, era, &["prompts/list"]).await?;
    let simple = format!("{}simple-prompt", target.prefix);
    assert!(names(&prompts["prompts"], "name").contains(&simple), "{prompts}");
    let prompt = inspect(client, target, era, &["prompts/get", "--prompt-name", &simple]).await?;
    assert_eq!(prompt["messages"][0]["role"], "user");
    Ok(())
}

fn names(list: &Value, key: &str) -> Vec<String> {
    let entries = list.as_array().map(Vec::as_slice).unwrap_or_default();
    entries.iter().filter_map(|entry| entry[key].as_str()).map(str::to_owned).collect()
}

async fn hub_serves(test: &str, era: &str) -> Result<()> {
    let Some(client) = Client::or_skip(test)? else { return Ok(()) };
    let target = Target::transparent(&client).await?;
    use_everything(&client, &target, era).await.with_context(|| target.log())
}

#[tokio::test(flavor = "multi_thread")]
async fn inspector_uses_everything_as_a_legacy_client() -> Result<()> {
    hub_serves("inspector_uses_everything_as_a_legacy_client", "legacy").await
}

#[tokio::test(flavor = "multi_thread")]
async fn inspector_uses_everything_and_finds_the_era() -> Result<()> {
    hub_serves("inspector_uses_everything_and_finds_the_era", "auto").await
}

#[tokio::test(flavor = "multi_thread")]
async fn inspector_uses_everything_as_a_modern_client() -> Result<()> {
    hub_serves("inspector_uses_everything_as_a_modern_client", "modern").await
}

/// The tools of the reference server that ask, what to call them with, and what
/// the server says to a client that can be asked nothing.
const ASKING: [(&str, &str, &str); 3] = [
    ("test_sampling", r#"{"prompt":"x"}"#, "The client did not declare sampling."),
    ("test_elicitation", r#"{"message":"Who are you?"}"#, "The client did not declare elicitation.form."),
    ("ask_url", "{}", "The client did not declare elicitation.url."),
];

/// Its command line declares nothing that it could be asked for, and the server
/// hears so, whatever the two speak.
#[tokio::test(flavor = "multi_thread")]
async fn inspector_cannot_be_asked_and_the_server_knows() -> Result<()> {
    let Some(client) = Client::or_skip("inspector_cannot_be_asked_and_the_server_knows")? else {
        return Ok(());
    };
    let server = ReferenceServer::start(&["--era", "legacy"]).await?;
    let target = Target::reference(&server).await?;
    for era in ["legacy", "auto", "modern"] {
        for (tool, arguments, said) in ASKING {
            let mut command = client.command(&client.packages.npm_bin("mcp-inspector"));
            command.args([
                "--cli",
                "--server-url",
                &target.url,
                "--transport",
                "http",
                "--protocol-era",
                era,
            ]);
            command.args(["--header", &format!("Authorization: Bearer {}", target.key)]);
            command.args(["--stored-auth-only", "--format", "json", "--method", "tools/call"]);
            command.args(["--tool-name", tool, "--tool-args-json", arguments]);
            // It ends with an error because the tool's result is one.
            let finished = client.run(command).await?;
            assert!(finished.stdout.contains(said), "{era} {tool}: {finished:?}\n{}", target.log());
        }
    }
    Ok(())
}

/// The Inspector's command line that keeps connections, in a daemon of its own.
struct Mcpdo<'a> {
    client: &'a Client,
    configuration: String,
}

impl<'a> Mcpdo<'a> {
    const CONNECTION: &'static str = "hub";

    fn new(client: &'a Client, target: &Target) -> Result<Self> {
        let file = client.home().join("mcpdo.json");
        let servers = json!({ "mcpServers": { Self::CONNECTION: {
            "type": "streamable-http",
            "url": target.url,
            "headers": { "Authorization": format!("Bearer {}", target.key) },
        } } });
        std::fs::write(&file, servers.to_string())?;
        Ok(Self { client, configuration: file.to_string_lossy().into_owned() })
    }

    fn command(&self) -> Command {
        let mut command = self.client.command(&self.client.packages.npm_bin("mcpdo"));
        command.env("MCP_INSPECTOR_DAEMON_DIR", self.client.home().join("daemon"));
        command.env("MCP_INSPECTOR_DAEMON_TOKEN", "a-daemon-of-this-test-alone-0123456789abcdef");
        command.env("MCP_INSPECTOR_SECRET_STORE", "memory");
        command.args(["--format", "json", "--stored-auth-only"]);
        command
    }

    async fn run(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = self.command();
        command.args(["--connection", Self::CONNECTION]).args(arguments);
        let printed = self.client.run(command).await?.success()?;
        serde_json::from_str(&printed).with_context(|| printed.clone())
    }

    /// A form is filled in and a page visited: each call waits for the answer of another command.
    async fn is_asked(&self, era: &str) -> Result<()> {
        let mut connect = self.command();
        connect.args(["--config", &self.configuration, "connect", Self::CONNECTION, "--era", era]);
        let connected = self.client.run(connect).await?.success()?;
        assert!(connected.contains(&format!("\"protocolEra\": \"{era}\"")), "{connected}");
        let form = self.asked(&["test_elicitation", r#"{"message":"Who are you?"}"#]).await?;
        assert_eq!((&form["mode"], &form["message"]), (&json!("form"), &json!("Who are you?")), "{form}");
        let filled = self.answer(&form, r#"{"username":"ada","email":"ada@example.com"}"#).await?;
        assert!(filled.contains("action=accept") && filled.contains("ada@example.com"), "{filled}");
        let visit = self.asked(&["ask_url", "{}"]).await?;
        assert_eq!(visit["url"], "https://example.com/reference-server/visit", "{visit}");
        let visited = self.answer(&visit, "--done").await?;
        assert!(visited.contains("action=accept"), "{visited}");
        self.run(&["disconnect"]).await.map(drop)
    }

    async fn asked(&self, call: &[&str]) -> Result<Value> {
        let pending = self.run(&[&["tools/call"], call].concat()).await?;
        Ok(pending["elicitationPending"].clone())
    }

    async fn answer(&self, pending: &Value, answer: &str) -> Result<String> {
        let id = pending["elicitationId"].as_str().with_context(|| format!("nothing asked: {pending}"))?;
        let result = self.run(&["elicitation/respond", id, answer]).await?;
        Ok(result["content"][0]["text"].as_str().context("no text")?.to_owned())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn inspector_is_asked_over_a_kept_connection() -> Result<()> {
    let Some(client) = Client::or_skip("inspector_is_asked_over_a_kept_connection")? else { return Ok(()) };
    for server in ["legacy", "modern"] {
        let reference = ReferenceServer::start(&["--era", server]).await?;
        let target = Target::reference(&reference).await?;
        let mcpdo = Mcpdo::new(&client, &target)?;
        let mut asked = Ok(());
        for era in ["legacy", "modern"] {
            asked = asked.and(mcpdo.is_asked(era).await.with_context(|| format!("{era} to {server}")));
        }
        // The daemon outlives a failure otherwise.
        let mut stop = mcpdo.command();
        stop.args(["daemon", "stop"]);
        client.run(stop).await?.success()?;
        asked.with_context(|| target.log())?;
    }
    Ok(())
}
