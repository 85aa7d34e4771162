//! Servers that ask their client, and clients that want to hear of resources,
//! in each pairing of eras and with a real server behind the hub.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::time::timeout;
use trunkline_tests::connection::call_params;
use trunkline_tests::http::Streaming;
use trunkline_tests::hub::TestHub;
use trunkline_tests::mcp_client::{LegacyClient, ModernClient};
use trunkline_tests::message::{self, LEGACY};
use trunkline_tests::reference_server::ReferenceServer;

const PATIENCE: Duration = Duration::from_secs(20);
const CAPABILITIES: &str = r#"{"sampling":{},"elicitation":{"form":{},"url":{}},"roots":{}}"#;
const WATCHED: &str = r#"{"uri":"test://watched-resource"}"#;

async fn hub_before(server: &ReferenceServer) -> Result<TestHub> {
    TestHub::start(&format!(
        "servers:\n  reference: {{ url: {:?} }}\nprofiles:\n  \
         team: {{ auth: api_key, servers: {{ reference: {{ prefix: \"\" }} }} }}\n",
        server.url
    ))
    .await
}

/// The next message of a stream that is one of the server's.
pub(crate) async fn heard(stream: &mut Streaming) -> Result<Value> {
    loop {
        let event = timeout(PATIENCE, stream.event()).await.context("nothing came")??;
        let event = event.context("the stream ended")?;
        if !event.data.is_empty() {
            return Ok(serde_json::from_slice(event.data.as_ref())?);
        }
    }
}

/// Calls a sampling tool and answers what the server asks.
async fn sampled(client: &LegacyClient, prompt: &str) -> Result<(Value, Value)> {
    let arguments = json!({ "prompt": prompt }).to_string();
    let mut stream = client.open("7", "tools/call", &call_params("test_sampling", &arguments)).await?;
    let question = heard(&mut stream).await?;
    ensure!(question["method"] == "sampling/createMessage", "{question}");
    let result = json!({ "role": "assistant", "model": "m", "content": { "type": "text", "text": format!("to {prompt}") } });
    let answer = json!({ "jsonrpc": "2.0", "id": question["id"], "result": result });
    client.post(answer.to_string()).await?.expect_status(202)?;
    Ok((question, heard(&mut stream).await?))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_legacy_client_is_asked_by_servers_of_both_eras() -> Result<()> {
    for era in ["legacy", "modern"] {
        let server = ReferenceServer::start(&["--era", era]).await?;
        let hub = hub_before(&server).await?;
        let endpoint = hub.endpoint("team").with_key(&hub.create_key("team").await?);
        let client = LegacyClient::connect_as(endpoint.clone(), LEGACY, CAPABILITIES).await?;
        let other = LegacyClient::connect_as(endpoint, LEGACY, CAPABILITIES).await?;
        // Two sessions of one key with the same ids: each gets its own answer.
        let (one, two) = tokio::join!(sampled(&client, "one"), sampled(&other, "two"));
        let ((_, one), (_, two)) = (one.context(era)?, two.context(era)?);
        ensure!(one["id"] == 7 && one["result"].to_string().contains("to one"), "{era}: {one}");
        ensure!(two["id"] == 7 && two["result"].to_string().contains("to two"), "{era}: {two}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_did_not_declare_it_is_not_asked() -> Result<()> {
    for era in ["legacy", "modern"] {
        let server = ReferenceServer::start(&["--era", era]).await?;
        let hub = hub_before(&server).await?;
        let endpoint = hub.endpoint("team").with_key(&hub.create_key("team").await?);
        let client = LegacyClient::connect_as(endpoint, LEGACY, r#"{"roots":{}}"#).await?;
        let call = message::request("1", "tools/call", &call_params("test_sampling", r#"{"prompt":"x"}"#));
        let response = timeout(PATIENCE, client.post(call)).await.context("it waits for ever")??;
        ensure!(
            !String::from_utf8_lossy(&response.body).contains("createMessage\",\"params"),
            "{era}: asked"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_modern_client_goes_on_with_the_very_call_of_a_legacy_server() -> Result<()> {
    let server = ReferenceServer::start(&["--era", "legacy"]).await?;
    let hub = hub_before(&server).await?;
    let key = hub.create_key("team").await?;
    let client = ModernClient::with_capabilities(hub.endpoint("team").with_key(&key), CAPABILITIES);
    let call = json!({ "name": "test_sampling", "arguments": { "prompt": "x" } });
    let asked = client.request("tools/call", &call.to_string()).await?.result_value()?;
    ensure!(asked["resultType"] == "input_required", "{asked}");
    let (question, _) =
        asked["inputRequests"].as_object().and_then(|all| all.iter().next()).context("nothing")?;
    let retry = |answered: bool| {
        let answer =
            json!({ "role": "assistant", "model": "m", "content": { "type": "text", "text": "fine" } });
        let responses = if answered { json!({ question: answer }) } else { json!({ "other": {} }) };
        let mut retry = call.clone();
        retry["inputResponses"] = responses;
        retry["requestState"] = asked["requestState"].clone();
        retry
    };
    // Another key may not go on with it, and it is still there afterwards.
    let stranger = hub.endpoint("team").with_key(&hub.create_key("team").await?);
    let stranger = ModernClient::with_capabilities(stranger, CAPABILITIES);
    let refused = stranger.request("tools/call", &retry(true).to_string()).await;
    ensure!(refused.is_err() || refused?.result_value().is_err(), "a stranger went on with it");
    let done = client.request("tools/call", &retry(true).to_string()).await?.result_value()?;
    ensure!(done.to_string().contains("fine"), "{done}");
    let again = client.request("tools/call", &retry(true).to_string()).await;
    ensure!(again.is_err() || again?.result_value().is_err(), "the call went on twice");
    Ok(())
}

/// A legacy server's error, "open this page first", reaches each client in the
/// words of its era.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_must_be_opened_first_is_asked_for_in_the_clients_era() -> Result<()> {
    let server = ReferenceServer::start(&["--era", "legacy"]).await?;
    let hub = hub_before(&server).await?;
    // The server asks once for each of its sessions: a key has one.
    let keys = [hub.create_key("team").await?, hub.create_key("team").await?];
    let [one, two] = keys.map(|key| hub.endpoint("team").with_key(&key));
    let call = json!({ "name": "ask_url_by_error", "arguments": {} });

    let legacy = LegacyClient::connect_as(one, LEGACY, CAPABILITIES).await?;
    let refused = legacy.request("tools/call", &call.to_string()).await?.error_value()?;
    ensure!(refused["code"] == -32042 && refused["data"]["elicitations"][0]["url"].is_string(), "{refused}");

    let modern = ModernClient::with_capabilities(two, CAPABILITIES);
    let asked = modern.request("tools/call", &call.to_string()).await?.result_value()?;
    let (key, ask) =
        asked["inputRequests"].as_object().and_then(|all| all.iter().next()).context("nothing asked")?;
    ensure!(ask["method"] == "elicitation/create" && ask["params"]["mode"] == "url", "{asked}");
    ensure!(ask["params"]["url"] == refused["data"]["elicitations"][0]["url"], "{asked}");
    ensure!(ask["params"].get("elicitationId").is_none(), "the modern era has none: {asked}");
    let retry = |action: &str| {
        let mut retry = call.clone();
        retry["inputResponses"] = json!({ key: { "action": action } });
        retry["requestState"] = asked["requestState"].clone();
        retry.to_string()
    };
    let declined = modern.request("tools/call", &retry("decline")).await?.error_value()?;
    ensure!(declined["code"] == -32602 && declined["message"].to_string().contains("declined"), "{declined}");
    let done = modern.request("tools/call", &retry("accept")).await?.result_value()?;
    ensure!(done["resultType"] == "complete" && done["content"].is_array(), "{done}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_subscribed_hears_of_a_resource_and_others_do_not() -> Result<()> {
    for era in ["legacy", "modern"] {
        let server = ReferenceServer::start(&["--era", era]).await?;
        let hub = hub_before(&server).await?;
        let key = hub.create_key("team").await?;
        let connect = || LegacyClient::connect(hub.endpoint("team").with_key(&key));
        let (first, second, third) = (connect().await?, connect().await?, connect().await?);
        let mut streams = [first.listen().await?, second.listen().await?, third.listen().await?];
        first.request("resources/subscribe", WATCHED).await?.result_value().context(era)?;
        second.request("resources/subscribe", WATCHED).await?.result_value().context(era)?;
        let update = async || third.request("tools/call", &call_params("update_resource", "{}")).await;
        update().await?.result_value()?;
        for stream in &mut streams[..2] {
            until_updated(stream).await.context(era)?;
        }
        // One leaves; the other still hears.
        first.request("resources/unsubscribe", WATCHED).await?.result_value()?;
        update().await?.result_value()?;
        until_updated(&mut streams[1]).await.context(era)?;
        for index in [0, 2] {
            let more = timeout(Duration::from_millis(300), until_updated(&mut streams[index])).await;
            ensure!(more.is_err(), "{era}: stream {index} heard of what it does not want");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_outlives_the_child_that_took_it() -> Result<()> {
    for era in ["legacy", "modern"] {
        let program = trunkline_tests::hub::built(trunkline_tests::reference_server::PROGRAM)?;
        let hub = TestHub::start(&format!(
            "servers:\n  reference: {{ command: {program:?}, args: [--stdio, --era, {era}] }}\nprofiles:\n  \
             team: {{ auth: api_key, servers: {{ reference: {{ prefix: \"\" }} }} }}\n"
        ))
        .await?;
        let client =
            LegacyClient::connect(hub.endpoint("team").with_key(&hub.create_key("team").await?)).await?;
        let mut stream = client.listen().await?;
        client.request("resources/subscribe", WATCHED).await?.result_value().context(era)?;
        let crashed = client.request("tools/call", &call_params("crash", "{}")).await?;
        ensure!(crashed.result_value().is_err(), "{era}: the child lives");
        // What changed while there was no child is not known, so the client is told.
        until_updated(&mut stream).await.with_context(|| format!("{era}: after the crash"))?;
        // The library acknowledges a subscription a moment before it counts.
        let end = Instant::now() + PATIENCE;
        loop {
            client.request("tools/call", &call_params("update_resource", "{}")).await?.result_value()?;
            match timeout(Duration::from_secs(1), until_updated(&mut stream)).await {
                Ok(heard) => break heard.with_context(|| format!("{era}: from the new child"))?,
                Err(_) => ensure!(Instant::now() < end, "{era}: nothing from the new child"),
            }
        }
    }
    Ok(())
}

async fn until_updated(stream: &mut Streaming) -> Result<()> {
    loop {
        let message = heard(stream).await?;
        match message["method"].as_str() {
            Some("notifications/resources/updated") => {
                ensure!(message["params"]["uri"] == "test://watched-resource", "{message}");
                return Ok(());
            }
            Some(_) => {}
            None => bail!("no notification: {message}"),
        }
    }
}
