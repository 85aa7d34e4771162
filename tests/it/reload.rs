//! A changed configuration counts without a restart, a broken one does not.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use trunkline_tests::hub::TestHub;
use trunkline_tests::mcp_client::LegacyClient;
use trunkline_tests::process::signal;
use trunkline_tests::scripted::{Script, ScriptedServer};

fn configuration(servers: &[(&str, &ScriptedServer)]) -> String {
    let mut text = "servers:\n".to_owned();
    let mut selection = Vec::new();
    for (name, server) in servers {
        text += &["  ", name, ": { url: \"", &server.url, "\" }\n"].concat();
        selection.push(format!("{name}: {{}}"));
    }
    text + &format!("profiles:\n  team: {{ auth: api_key, servers: {{ {} }} }}\n", selection.join(", "))
}

async fn tools(client: &LegacyClient) -> Result<usize> {
    Ok(client.request("tools/list", "{}").await?.entries("tools")?.len())
}

/// Asks until there are `count` tools: the file is noticed by the operating
/// system's own event, which nobody here can wait for.
async fn until_tools(client: &LegacyClient, count: usize) -> Result<()> {
    for _ in 0..100 {
        if tools(client).await? == count {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    bail!("{} tools instead of {count}", tools(client).await?)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_counts_and_a_broken_one_does_not() -> Result<()> {
    let one = ScriptedServer::start(Script::new("one", 3)).await?;
    let two = ScriptedServer::start(Script::new("two", 4)).await?;
    let hub = TestHub::start(&configuration(&[("one", &one)])).await?;
    let key = hub.create_key("team").await?;
    let client = LegacyClient::connect(hub.endpoint("team").with_key(&key)).await?;
    assert_eq!(tools(&client).await?, 3);
    let mut stream = client.listen().await?;
    hub.rewrite_configuration(&configuration(&[("one", &one), ("two", &two)]))?;
    until_tools(&client, 7).await.with_context(|| hub.output())?;
    while !stream
        .event()
        .await?
        .context("the stream ended")?
        .data
        .contains("notifications/tools/list_changed")
    {}
    hub.rewrite_configuration("servers: { one: { ulr: x } }\n")?;
    signal(hub.id()?, "HUP").await?;
    hub.until_output(|line| line.contains("ulr")).await.context("the fault is not reported")?;
    assert_eq!(tools(&client).await?, 7, "the old configuration is kept");
    hub.rewrite_configuration(&configuration(&[("two", &two)]))?;
    signal(hub.id()?, "HUP").await?;
    until_tools(&client, 4).await.with_context(|| hub.output())
}
