//! Whoever asks while a server's list is on its way is answered from it, and
//! not as if there were nothing.

use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use futures_util::future::try_join_all;
use trunkline_tests::connection::call_params;
use trunkline_tests::hub::TestHub;
use trunkline_tests::mcp_client::ModernClient;
use trunkline_tests::message::Answer;
use trunkline_tests::scripted::{Holds, Script, ScriptedServer};

/// Servers whose lists are let go one after the other.
const SERVERS: usize = 12;
/// Requests that arrive around the moment when a list does.
const REQUESTS: usize = 60;
const TOOLS: usize = 3;

/// A hub whose profiles `p0`, `p1`, … have a server each.
async fn hub_over(servers: &[ScriptedServer]) -> Result<TestHub> {
    let mut text = "servers:\n".to_owned();
    let mut profiles = "profiles:\n".to_owned();
    for (number, server) in servers.iter().enumerate() {
        writeln!(text, "  s{number}: {{ url: {:?} }}", server.url)?;
        writeln!(profiles, "  p{number}: {{ auth: none, servers: {{ s{number}: {{}} }} }}")?;
    }
    TestHub::start(&(text + &profiles)).await
}

/// Sends requests to each profile in turn and lets its server's list go when
/// half of them are on their way.
async fn around_the_arrival(
    method: &'static str,
    params: impl Fn(usize) -> String,
    check: impl Fn(&Answer) -> Result<()>,
) -> Result<()> {
    let script = Script::new("scripted", TOOLS).holds(Holds::Lists);
    let servers = try_join_all((0..SERVERS).map(|_| ScriptedServer::start(script.clone()))).await?;
    let hub = hub_over(&servers).await?;
    for (number, server) in servers.iter().enumerate() {
        let client = ModernClient::new(hub.endpoint(&format!("p{number}")));
        let params = params(number);
        let mut requests = Vec::new();
        for request in 0..REQUESTS {
            let (client, params) = (client.clone(), params.clone());
            requests.push(tokio::spawn(async move { client.request(method, &params).await }));
            match request {
                0 => server.until_held(1).await?,
                _ if request == REQUESTS / 2 => server.release(),
                _ => tokio::task::yield_now().await,
            }
        }
        for (request, answer) in try_join_all(requests).await?.iter().enumerate() {
            let answer = answer.as_ref().map_err(|error| anyhow::anyhow!("{error:#}"))?;
            check(answer).with_context(|| format!("request {request} to profile {number}"))?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_whole_from_the_first_answer_on() -> Result<()> {
    around_the_arrival(
        "tools/list",
        |_| "{}".to_owned(),
        |answer| {
            anyhow::ensure!(answer.entries("tools")?.len() == TOOLS, "{}", answer.text());
            Ok(())
        },
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_finds_its_tool_from_the_first_on() -> Result<()> {
    around_the_arrival(
        "tools/call",
        |number| call_params(&format!("s{number}__tool_002"), r#"{"text":"x"}"#),
        |answer| {
            anyhow::ensure!(answer.first_text()? == "scripted/tool_002: x", "{}", answer.text());
            Ok(())
        },
    )
    .await
}
