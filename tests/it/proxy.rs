//! `trunkline proxy`: the hub for clients that only speak stdio.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use trunkline_tests::connection::Connection;
use trunkline_tests::hub::{self, TestHub};
use trunkline_tests::mcp_client::LegacyClient;
use trunkline_tests::scripted::{Script, ScriptedServer};
use trunkline_tests::stdio_client::StdioClient;

use crate::target::Target;

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_gives_what_the_endpoint_gives() -> Result<()> {
    let server = ScriptedServer::start(Script::new("scripted", 25).page(10)).await?;
    let hub = TestHub::start(&format!(
        "servers:\n  scripted: {{ url: {:?} }}\nprofiles:\n  \
         team: {{ auth: api_key, servers: {{ scripted: {{ prefix: \"\" }} }} }}\n",
        server.url
    ))
    .await?;
    let endpoint = hub.endpoint("team");
    let target = Target::transparent_of(hub).await?;
    let straight = LegacyClient::connect(endpoint.with_key(&target.key)).await?;
    let tools = Connection::Legacy(straight).list("tools/list", "tools").await?;
    let binary = hub::binary()?.display().to_string();
    let line = [binary, "proxy".to_owned(), target.url.clone()];
    let environment = BTreeMap::from([("TRUNKLINE_KEY".to_owned(), target.key.clone())]);
    let legacy = StdioClient::legacy(&line, &environment).await.with_context(|| target.log())?;
    let modern = StdioClient::modern(&line, &environment).await.with_context(|| target.log())?;
    for mut connection in [Connection::Stdio(legacy), Connection::Stdio(modern)] {
        assert_eq!(connection.list("tools/list", "tools").await?, tools);
        let answer = connection.call("tool_003", r#"{"text":"by stdio"}"#).await?;
        assert_eq!(answer.first_text()?, "scripted/tool_003: by stdio");
    }
    Ok(())
}
