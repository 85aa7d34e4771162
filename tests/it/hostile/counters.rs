//! A server that remembers what its sessions did: whatever it counts, tells or
//! lists for one caller, no other caller sees.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use trunkline_tests::connection::call_params;
use trunkline_tests::hub::TestHub;
use trunkline_tests::mcp_client::{LegacyClient, ModernClient};
use trunkline_tests::message::{Answer, LEGACY};
use trunkline_tests::raw_server::{RawCall, RawServer, Step, http, tool};

use super::stage::{quiet, until_async};

/// More entries than the hub puts on one page.
const TOOLS: usize = 1_002;

/// Sessions by number, the calls in each, and those that have ended.
#[derive(Debug, Default)]
struct Sessions {
    calls: HashMap<String, usize>,
    ended: BTreeSet<String>,
}

/// A legacy server in whose session `s-N` there is a tool `of_s-N` and
/// instructions that name it; `count` says how often it was called there.
async fn start() -> Result<RawServer> {
    let sessions: Arc<Mutex<Sessions>> = Arc::default();
    RawServer::start(move |call| {
        let mut sessions = sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if call.http_method == "POST" && call.method == "initialize" {
            let id = format!("s-{}", sessions.calls.len() + 1);
            sessions.calls.insert(id.clone(), 0);
            let result = json!({
                "protocolVersion": LEGACY,
                "capabilities": { "tools": {} },
                "serverInfo": { "name": "counter", "version": "1" },
                "instructions": format!("for {id} alone"),
            });
            let status = format!("200 OK\r\nMcp-Session-Id: {id}");
            return Some(vec![Step::Write(http(&status, "application/json", &call.answer_with(&result)))]);
        }
        let id = session_of(call)?;
        if call.http_method == "DELETE" {
            sessions.ended.insert(id);
            return Some(vec![Step::Write(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())]);
        }
        let result = match call.method.as_str() {
            "tools/list" => {
                let more = (0..TOOLS).map(|number| tool(&format!("t{number}")));
                let tools: Vec<_> =
                    [tool("count"), tool(&format!("of_{id}"))].into_iter().chain(more).collect();
                json!({ "tools": tools })
            }
            "tools/call" => {
                let ended = sessions.ended.contains(&id);
                let count = sessions.calls.entry(id.clone()).or_default();
                *count += 1;
                json!({ "content": [{ "type": "text", "text": format!("{count} in {id}, ended: {ended}") }] })
            }
            _ => return None,
        };
        Some(vec![Step::Write(http("200 OK", "application/json", &call.answer_with(&result)))])
    })
    .await
}

fn session_of(call: &RawCall) -> Option<String> {
    call.headers.iter().find(|(name, _)| name == "mcp-session-id").map(|(_, value)| value.clone())
}

async fn hub_over(server: &RawServer, more: &str) -> Result<TestHub> {
    TestHub::start(&format!(
        "servers:\n  one: {{ url: {:?}{more} }}\nprofiles:\n  \
         red: {{ auth: api_key, servers: {{ one: {{}} }} }}\n  \
         blue: {{ auth: api_key, servers: {{ one: {{}} }} }}\n",
        server.url
    ))
    .await
}

/// Counts, and gives the number and the session.
async fn count(client: &LegacyClient) -> Result<(usize, String)> {
    counted(&client.request("tools/call", &call_params("one__count", "{}")).await?)
}

fn counted(answer: &Answer) -> Result<(usize, String)> {
    let text = answer.first_text()?;
    let (number, rest) = text.split_once(" in ").with_context(|| text.clone())?;
    let session = rest.strip_suffix(", ended: false").with_context(|| format!("an ended session: {text}"))?;
    Ok((number.parse()?, session.to_owned()))
}

/// Each caller counts from one, also after everything that was kept for it
/// was given up and the server is reached anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_counter_counts_for_one_caller_alone() -> Result<()> {
    let server = start().await?;
    let hub = hub_over(&server, ", instances: per_session, idle_timeout: 1s").await?;
    let (key, colleague, blue) =
        (hub.create_key("red").await?, hub.create_key("red").await?, hub.create_key("blue").await?);
    let own = hub.endpoint("red").with_key(&key);
    let mut used = BTreeSet::new();
    for _ in 0..2 {
        let clients = [
            LegacyClient::connect(own.clone()).await?,
            LegacyClient::connect(own.clone()).await?,
            LegacyClient::connect(hub.endpoint("red").with_key(&colleague)).await?,
            LegacyClient::connect(hub.endpoint("blue").with_key(&blue)).await?,
        ];
        let mut sessions = BTreeSet::new();
        for round in 1..=3 {
            for (number, client) in clients.iter().enumerate() {
                let (count, session) = count(client).await?;
                ensure!(count == round, "client {number} counts {count} instead of {round} in {session}");
                sessions.insert(session);
            }
        }
        let modern = ModernClient::new(own.clone());
        let (first, session) =
            counted(&modern.request("tools/call", &call_params("one__count", "{}")).await?)?;
        ensure!(first == 1 && sessions.insert(session), "a client without a session is in another's");
        ensure!(sessions.len() == 5, "{sessions:?}");
        ensure!(sessions.is_disjoint(&used), "{sessions:?} after {used:?}");
        used.extend(sessions);
        // A session at the server ends with its client's, or idles when it is nobody's.
        for client in &clients {
            client.delete().await?.expect_status(200)?;
        }
        until_async(async || {
            let ended = server.received().into_iter().filter(|call| call.http_method == "DELETE");
            let ended: BTreeSet<_> = ended.filter_map(|call| session_of(&call)).collect();
            Ok(used.is_subset(&ended))
        })
        .await?;
    }
    Ok(())
}

/// A new key takes over nothing of one that was revoked.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_does_not_go_on_where_a_revoked_one_was() -> Result<()> {
    let server = start().await?;
    let hub = hub_over(&server, "").await?;
    let key = hub.create_key("red").await?;
    let client = LegacyClient::connect(hub.endpoint("red").with_key(&key)).await?;
    count(&client).await?;
    let (two, session) = count(&client).await?;
    ensure!(two == 2, "{two}");
    let listed: Value = serde_json::from_str(&hub.cli(&["key", "list", "--json"]).await?)?;
    let keys = listed.as_array().or_else(|| listed["keys"].as_array()).context("no keys")?;
    hub.cli(&["key", "revoke", keys[0]["id"].as_str().context("no id")?]).await?;
    let next = LegacyClient::connect(hub.endpoint("red").with_key(&hub.create_key("red").await?)).await?;
    let (one, other) = count(&next).await?;
    ensure!(one == 1 && other != session, "{one} in {other} after {session}");
    Ok(())
}

/// The names of the first page of a list, and the cursor of the next.
async fn first_page(client: &LegacyClient) -> Result<(BTreeSet<String>, Option<String>)> {
    let answer = client.request("tools/list", "{}").await?;
    let result = answer.result_value()?;
    let tools = result["tools"].as_array().context("no list")?;
    let names = tools.iter().filter_map(|tool| tool["name"].as_str()).map(str::to_owned);
    Ok((names.filter(|name| name.contains("of_")).collect(), answer.next_cursor()?))
}

/// What one caller was told of a server, another caller is not shown, cannot
/// call and cannot leaf through; a new caller is shown what the hub itself was told.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_its_own_callers() -> Result<()> {
    let server = start().await?;
    let hub = hub_over(&server, "").await?;
    let mut callers = Vec::new();
    for profile in ["red", "red", "blue"] {
        let endpoint = hub.endpoint(profile).with_key(&hub.create_key(profile).await?);
        let client = LegacyClient::connect(endpoint.clone()).await?;
        let before = client.initialized().text().to_owned();
        let (shown, _) = first_page(&client).await?;
        for other in &callers {
            let (_, name, ..): &(LegacyClient, String, Option<String>) = other;
            ensure!(!shown.contains(name), "{profile} is shown {name}");
            ensure!(!before.contains(name.trim_start_matches("one__of_")), "{profile} is told of {name}");
        }
        // What the hub itself was told, which is in the server's first session, until the caller's own is there.
        until_async(async || Ok(!first_page(&client).await?.0.contains("one__of_s-1"))).await?;
        let (own, cursor) = first_page(&client).await?;
        ensure!(own.len() == 1, "{profile}: {own:?}");
        let name = own.into_iter().next().context("no tool")?;
        let modern = ModernClient::new(endpoint).request("server/discover", "{}").await?;
        for (_, other, _) in &callers {
            ensure!(!modern.text().contains(other.trim_start_matches("one__of_")), "{}", modern.text());
        }
        callers.push((client, name, cursor));
    }
    quiet(|| server.requests()).await?;
    let known = server.requests();
    for (index, (client, own, cursor)) in callers.iter().enumerate() {
        let cursor = cursor.as_ref().context("one page alone")?;
        client.request("tools/list", &json!({ "cursor": cursor }).to_string()).await?.result()?;
        for (_, other, foreign) in
            callers.iter().enumerate().filter(|(at, _)| *at != index).map(|(_, one)| one)
        {
            let error = client.request("tools/call", &call_params(other, "{}")).await?.error()?;
            ensure!((error.code, error.message) == (-32602, format!("Unknown tool: {other}")), "{own}");
            let params = json!({ "cursor": foreign }).to_string();
            let error = client.request("tools/list", &params).await?.error()?;
            let said = "the cursor is unknown or the list has changed; list again without a cursor";
            ensure!((error.code, error.message.as_str()) == (-32602, said), "{own}");
        }
    }
    ensure!(server.requests() == known, "a refusal reached the server");
    tokio::time::timeout(Duration::from_secs(5), count(&callers[0].0)).await??;
    Ok(())
}
