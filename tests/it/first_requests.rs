//! The first request of a profile waits for its server instead of answering as
//! if there were nothing.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use futures_util::future::try_join_all;
use trunkline_tests::connection::call_params;
use trunkline_tests::hub::TestHub;
use trunkline_tests::mcp_client::ModernClient;
use trunkline_tests::scripted::{Script, ScriptedServer};

/// Profiles that are each asked once at the same time; a narrow race needs many.
const PROFILES: usize = 150;
const TOOLS: usize = 3;

/// A hub whose profiles have a server each, all at the same URL.
async fn hub_over(server: &ScriptedServer) -> Result<TestHub> {
    let mut text = "servers:\n".to_owned();
    let mut profiles = "profiles:\n".to_owned();
    for number in 0..PROFILES {
        writeln!(text, "  s{number}: {{ url: {:?} }}", server.url)?;
        writeln!(profiles, "  p{number}: {{ auth: none, servers: {{ s{number}: {{}} }} }}")?;
    }
    TestHub::start(&(text + &profiles)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_list_is_whole() -> Result<()> {
    let server = ScriptedServer::start(Script::new("scripted", TOOLS)).await?;
    let hub = hub_over(&server).await?;
    let lists = try_join_all((0..PROFILES).map(|number| {
        let client = ModernClient::new(hub.endpoint(&format!("p{number}")));
        tokio::spawn(async move { client.request("tools/list", "{}").await })
    }));
    for (number, list) in lists.await?.into_iter().enumerate() {
        let list = list?;
        assert_eq!(list.entries("tools")?.len(), TOOLS, "profile {number}: {}", list.text());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_call_finds_its_tool() -> Result<()> {
    let server = ScriptedServer::start(Script::new("scripted", TOOLS)).await?;
    let hub = hub_over(&server).await?;
    let calls = try_join_all((0..PROFILES).map(|number| {
        let client = ModernClient::new(hub.endpoint(&format!("p{number}")));
        let params = call_params(&format!("s{number}__tool_002"), r#"{"text":"x"}"#);
        tokio::spawn(async move { client.request("tools/call", &params).await })
    }));
    for (number, call) in calls.await?.into_iter().enumerate() {
        assert_eq!(call?.first_text().with_context(|| format!("profile {number}"))?, "scripted/tool_002: x");
    }
    Ok(())
}
