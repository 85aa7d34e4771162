//! A profile of a size that an organisation has: 100 servers, 3,000 tools.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures_util::future::try_join_all;
use trunkline_tests::connection::{Connection, call_params};
use trunkline_tests::hub::TestHub;
use trunkline_tests::mcp_client::{LegacyClient, ModernClient};
use trunkline_tests::scripted::{Eras, Holds, Script, ScriptedServer};

const SERVERS: usize = 100;
const TOOLS_EACH: usize = 30;
/// The longest name that every client accepts.
const LONGEST_NAME: usize = 46;
/// A call beside a hanging server takes milliseconds; this is a loaded machine's share.
const UNDELAYED: Duration = Duration::from_secs(2);
/// A list waits for a server that does not answer, but not longer than a client
/// would: Codex gives up after 10 s.
const PATIENT: Duration = Duration::from_secs(8);

async fn hub_over(servers: &[ScriptedServer]) -> Result<TestHub> {
    let mut text = "servers:\n".to_owned();
    let mut selection = String::new();
    for (number, server) in servers.iter().enumerate() {
        writeln!(text, "  server-{number:02}: {{ url: {:?} }}", server.url)?;
        writeln!(selection, "      server-{number:02}: {{}}")?;
    }
    TestHub::start(&format!("{text}profiles:\n  team:\n    auth: api_key\n    servers:\n{selection}")).await
}

async fn start_servers(holding: Option<usize>) -> Result<Vec<ScriptedServer>> {
    let eras = [Eras::Both, Eras::Legacy, Eras::Modern];
    try_join_all((0..SERVERS).map(|number| {
        let script = Script::new(&format!("s{number:02}"), TOOLS_EACH).eras(eras[number % 3]);
        let holds = if holding == Some(number) { Holds::Everything } else { Holds::Nothing };
        ScriptedServer::start(script.holds(holds))
    }))
    .await
}

fn name_of(tool: &str) -> Result<String> {
    let tool: serde_json::Value = serde_json::from_str(tool)?;
    Ok(tool["name"].as_str().context("a tool without a name")?.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn three_thousand_tools_are_named_and_called() -> Result<()> {
    let servers = start_servers(None).await?;
    let hub = hub_over(&servers).await?;
    let key = hub.create_key("team").await?;
    let endpoint = hub.endpoint("team").with_key(&key);
    let mut legacy = Connection::Legacy(LegacyClient::connect(endpoint.clone()).await?);
    let tools = legacy.list("tools/list", "tools").await.with_context(|| hub.output())?;
    assert_eq!(tools.len(), SERVERS * TOOLS_EACH);
    let mut folded = BTreeSet::new();
    for tool in &tools {
        let name = name_of(tool)?;
        let legal = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        assert!(legal && name.len() <= LONGEST_NAME, "{name}");
        assert!(folded.insert(name.replace('-', "_").to_lowercase()), "{name} is there twice");
    }
    let mut modern = Connection::Modern(ModernClient::new(endpoint.clone()));
    assert_eq!(modern.list("tools/list", "tools").await?, tools, "one list for both eras");
    for number in 0..SERVERS {
        let shown = format!("server-{number:02}__tool_{:03}", number % TOOLS_EACH);
        let answer = legacy.call(&shown, r#"{"text":"x"}"#).await?;
        assert_eq!(answer.first_text()?, format!("s{number:02}/tool_{:03}: x", number % TOOLS_EACH));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_server_delays_no_other() -> Result<()> {
    let hanging = 41;
    let servers = start_servers(Some(hanging)).await?;
    let hub = hub_over(&servers).await?;
    let key = hub.create_key("team").await?;
    let client = LegacyClient::connect(hub.endpoint("team").with_key(&key)).await?;
    let asked = Instant::now();
    let mut names = Vec::new();
    let mut params = "{}".to_owned();
    loop {
        let page = client.request("tools/list", &params).await.with_context(|| hub.output())?;
        let label = page.result_value()?["_meta"].to_string();
        assert!(label.contains("server-41"), "the list does not say what is missing: {label}");
        names.extend(page.entries("tools")?.iter().map(|tool| name_of(tool)).collect::<Result<Vec<_>>>()?);
        let Some(cursor) = page.next_cursor()? else { break };
        params = serde_json::json!({ "cursor": cursor }).to_string();
    }
    assert!(asked.elapsed() < PATIENT, "the list took {:?}", asked.elapsed());
    assert_eq!(names.len(), (SERVERS - 1) * TOOLS_EACH);
    assert!(!names.iter().any(|name| name.starts_with("server-41__")));
    let asked = Instant::now();
    client.request("tools/list", "{}").await?.result()?;
    assert!(asked.elapsed() < UNDELAYED, "the next list took {:?}", asked.elapsed());
    let stuck = tokio::spawn({
        let client = client.clone();
        async move { client.request("tools/call", &call_params("server-41__tool_000", r#"{"text":"x"}"#)).await }
    });
    let asked = Instant::now();
    for number in (0..SERVERS).filter(|number| *number != hanging) {
        let shown = format!("server-{number:02}__tool_000");
        client.request("tools/call", &call_params(&shown, r#"{"text":"x"}"#)).await?.result()?;
    }
    let each = asked.elapsed() / u32::try_from(SERVERS)?;
    assert!(each < UNDELAYED / 10, "{each:?} for each call");
    stuck.abort();
    Ok(())
}
