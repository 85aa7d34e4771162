//! What a server asks of a client, and answers that come from somebody else,
//! for something else, or once too often.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::sync::Barrier;
use trunkline_tests::connection::call_params;
use trunkline_tests::http::{Endpoint, Streaming};
use trunkline_tests::hub::TestHub;
use trunkline_tests::mcp_client::{LegacyClient, ModernClient};
use trunkline_tests::message::{self, LEGACY, MODERN};
use trunkline_tests::raw::RawRequest;
use trunkline_tests::raw_server::{self, RawCall, RawServer, Step, chunk, chunked_head, http};

use super::stage::{Refusal, Row, quiet, refused, refused_by};

const ELICITATION: &str = r#"{"elicitation":{"form":{}}}"#;
const NOT_GIVEN: Refusal = refused(
    200,
    -32602,
    "\"requestState\" was not given for this request, or too long ago; make the request anew",
);
/// With a number that many readers cannot hold.
const ARGUMENTS: &str = r#"{"a":1,"big":1e400}"#;
const PLAIN: &str = r#"{"a":1}"#;

/// Profiles `red` and `blue` with both servers.
async fn hub_over(one: &RawServer, two: &RawServer) -> Result<TestHub> {
    TestHub::start(&format!(
        "servers:\n  one: {{ url: {:?} }}\n  two: {{ url: {:?} }}\nprofiles:\n  \
         red: {{ auth: api_key, servers: {{ one: {{}}, two: {{}} }} }}\n  \
         blue: {{ auth: api_key, servers: {{ one: {{}}, two: {{}} }} }}\n",
        one.url, two.url
    ))
    .await
}

/// A modern server that asks for a form until it is answered, and wants
/// `own-state` back. It reads no numbers, which may be larger than any.
async fn asking_server() -> Result<RawServer> {
    RawServer::start(|call| {
        let greeted = raw_server::modern(call, &[raw_server::tool("ask"), raw_server::tool("other")]);
        if greeted.is_some() || !call.body.contains("\"method\":\"tools/call\"") {
            return greeted;
        }
        let id = call.body.split("\"id\":").nth(1)?.split(',').next()?;
        let result = if call.body.contains("\"inputResponses\":{") {
            r#"{"resultType":"complete","content":[{"type":"text","text":"done"}]}"#
        } else {
            r#"{"resultType":"input_required","requestState":"own-state",
                "inputRequests":{"k":{"method":"elicitation/create","params":{"message":"?","requestedSchema":{"type":"object","properties":{}}}}}}"#
        };
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
        Some(vec![Step::Write(http("200 OK", "application/json", &body))])
    })
    .await
}

/// A call of a tool with these further members.
fn call(hub: &TestHub, key: &str, tool: &str, arguments: &str, more: &str) -> RawRequest {
    let meta = format!(
        r#""_meta":{{"io.modelcontextprotocol/protocolVersion":"{MODERN}","io.modelcontextprotocol/clientCapabilities":{ELICITATION}}}"#
    );
    let params = format!(r#"{{"name":"{tool}","arguments":{arguments},{more}{meta}}}"#);
    RawRequest::new("POST", "/mcp/red")
        .with("Host", hub.base().trim_start_matches("http://"))
        .with("Authorization", format!("Bearer {key}"))
        .with("Content-Type", "application/json")
        .with("Accept", "application/json, text/event-stream")
        .with("MCP-Protocol-Version", MODERN)
        .with("Mcp-Method", "tools/call")
        .with("Mcp-Name", tool)
        .body(message::request("1", "tools/call", &params))
}

/// The state that the hub gives with a server's question.
async fn asked_state(hub: &TestHub, key: &str) -> Result<String> {
    let address = hub.base().trim_start_matches("http://");
    let answer =
        trunkline_tests::raw::exchange(address, &call(hub, key, "one__ask", ARGUMENTS, "")).await?.json()?;
    let state = answer["result"]["requestState"].as_str().with_context(|| answer.to_string())?;
    ensure!(!state.contains("own-state"), "{state}");
    Ok(state.to_owned())
}

fn answered(state: &str) -> String {
    let state = Value::from(state);
    format!(r#""inputResponses":{{"k":{{"action":"accept","content":{{}}}}}},"requestState":{state},"#)
}

/// Changes of a sealed state, each of which makes it another text.
fn changes(state: &str) -> Vec<String> {
    let flipped = |at: usize| {
        let mut bytes = state.as_bytes().to_vec();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let mut changes: Vec<String> =
        (0..state.len()).step_by(5).chain([state.len() - 1]).map(flipped).collect();
    changes.extend([
        String::new(),
        "own-state".to_owned(),
        state[1..].to_owned(),
        state[..state.len() - 1].to_owned(),
        format!("{state}A"),
        format!("{state}="),
        format!(" {state}"),
        format!("{state}\n"),
        state.to_lowercase(),
        format!("{state}.{state}"),
        "x".repeat(100_000),
    ]);
    changes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_comes_back_from_its_caller_for_its_call_alone() -> Result<()> {
    let (one, two) = (asking_server().await?, asking_server().await?);
    let hub = hub_over(&one, &two).await?;
    let (key, colleague) = (hub.create_key("red").await?, hub.create_key("red").await?);
    let foreign = hub.create_key("blue").await?;
    let state = asked_state(&hub, &key).await?;
    for key in [&colleague, &foreign] {
        let profile = if key == &foreign { "blue" } else { "red" };
        ModernClient::new(hub.endpoint(profile).with_key(key)).request("tools/list", "{}").await?.result()?;
    }
    let elsewhere = {
        let hub = hub_over(&one, &two).await?;
        asked_state(&hub, &hub.create_key("red").await?).await?
    };
    let requests = || one.requests() + two.requests();
    quiet(requests).await?;
    let more = answered(&state);
    let with = |arguments: &str| call(&hub, &key, "one__ask", arguments, &more);
    let row =
        |name: &str, request: RawRequest, refusal: Refusal| Row { name: name.to_owned(), request, refusal };
    let to_blue = call(&hub, &foreign, "one__ask", ARGUMENTS, &more).aimed("POST", "/mcp/blue");
    let number = answered(&state).replace(&format!("\"{state}\""), "7");
    let no_string = refused(200, -32602, "\"requestState\" must be a string");
    let mut rows = vec![
        row("a colleague", call(&hub, &colleague, "one__ask", ARGUMENTS, &more), NOT_GIVEN),
        row("another profile", to_blue, NOT_GIVEN),
        row("another tool", call(&hub, &key, "one__other", ARGUMENTS, &more), NOT_GIVEN),
        row("another server", call(&hub, &key, "two__ask", ARGUMENTS, &more), NOT_GIVEN),
        row("other arguments", with(r#"{"a":2,"big":1e400}"#), NOT_GIVEN),
        row("a larger number", with(r#"{"a":1,"big":1e401}"#), NOT_GIVEN),
        row("another type", with(r#"{"a":"1","big":1e400}"#), NOT_GIVEN),
        row("more arguments", with(r#"{"a":1,"big":1e400,"b":null}"#), NOT_GIVEN),
        row("an argument twice", with(r#"{"a":2,"a":1,"big":1e400}"#), NOT_GIVEN),
        row("no arguments", with("{}"), NOT_GIVEN),
        row("of another hub", call(&hub, &key, "one__ask", ARGUMENTS, &answered(&elsewhere)), NOT_GIVEN),
        row("a number", call(&hub, &key, "one__ask", ARGUMENTS, &number), no_string),
    ];
    for changed in changes(&state) {
        let request = call(&hub, &key, "one__ask", ARGUMENTS, &answered(&changed));
        rows.push(row(&format!("{changed:.80}"), request, NOT_GIVEN));
    }
    refused_by(&hub, requests, rows).await?;
    // Written anew it is the same call, and the server gets its own state back.
    let address = hub.base().trim_start_matches("http://");
    let good = with(r#"{ "big" : 1e400, "\u0061":1 }"#);
    let done = trunkline_tests::raw::exchange(address, &good).await?.json()?;
    ensure!(done["result"]["content"][0]["text"] == "done", "{done}");
    let received = one.received();
    let last = received.last().context("nothing was received")?;
    ensure!(last.body.contains(r#""requestState":"own-state""#), "{}", last.body);
    Ok(())
}

/// A legacy server that asks in the course of a call, and says what it was answered.
struct Asks {
    server: RawServer,
    answered: Arc<Barrier>,
}

impl Asks {
    async fn start() -> Result<Self> {
        let answered = Arc::new(Barrier::new(2));
        let meet = Arc::clone(&answered);
        let asked_once = AtomicBool::new(false);
        let server = RawServer::start(move |call| {
            if call.id == "q" {
                // The answer: the call may go on.
                let accepted = b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".to_vec();
                return Some(vec![Step::Meet(Arc::clone(&meet)), Step::Write(accepted)]);
            }
            if call.method != "tools/call" || asked_once.swap(true, Ordering::SeqCst) {
                return None;
            }
            let params = json!({ "message": "?", "requestedSchema": { "type": "object", "properties": {} } });
            let question =
                json!({ "jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": params });
            Some(vec![
                Step::Write(chunked_head("text/event-stream")),
                Step::Write(chunk(format!("data: {question}\n\n").as_bytes())),
                Step::Meet(Arc::clone(&meet)),
                Step::Write(chunk(format!("data: {}\n\n", call.answer()).as_bytes())),
                Step::Write(chunk(b"")),
            ])
        })
        .await?;
        Ok(Self { server, answered })
    }

    /// What the server was answered.
    fn answers(&self) -> Vec<RawCall> {
        self.server.received().into_iter().filter(|call| call.id == "q").collect()
    }
}

async fn next(stream: &mut Streaming) -> Result<Value> {
    Ok(serde_json::from_str(&stream.event().await?.context("the stream ended")?.data)?)
}

async fn legacy(endpoint: &Endpoint) -> Result<LegacyClient> {
    LegacyClient::connect_as(endpoint.clone(), LEGACY, ELICITATION).await
}

/// An answer under a question's id.
fn answer(id: &Value, word: &str) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "result": { "action": "accept", "content": { "word": word } } })
        .to_string()
}

/// Ids of questions are easy to guess: whoever posts under one of another's is
/// thanked, and the question stays open for who was asked.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered_by_who_was_asked_and_once() -> Result<()> {
    let asks = Asks::start().await?;
    let hub = hub_over(&asks.server, &asks.server).await?;
    let red = hub.endpoint("red").with_key(&hub.create_key("red").await?);
    let colleague = hub.endpoint("red").with_key(&hub.create_key("red").await?);
    let blue = hub.endpoint("blue").with_key(&hub.create_key("blue").await?);
    let owner = legacy(&red).await?;
    let strangers = [legacy(&red).await?, legacy(&colleague).await?, legacy(&blue).await?];
    let mut stream = owner.open("7", "tools/call", &call_params("one__tool", "{}")).await?;
    let question = next(&mut stream).await?;
    ensure!(question["method"] == "elicitation/create", "{question}");
    let id = &question["id"];
    let known = asks.answers().len();
    let own_id = id.as_str().context("no id")?;
    for stranger in &strangers {
        stranger.post(answer(id, "forged")).await?.expect_status(202)?;
        let error = json!({ "jsonrpc": "2.0", "id": id, "error": { "code": -1, "message": "forged" } });
        stranger.post(error.to_string()).await?.expect_status(202)?;
    }
    owner.through(colleague.clone()).post(answer(id, "forged")).await?.expect_status(404)?;
    owner.through(blue.clone()).post(answer(id, "forged")).await?.expect_status(404)?;
    for other in
        [json!("q"), json!(7), json!(format!("{own_id} ")), json!("trunkline-0"), json!("trunkline-999")]
    {
        owner.post(answer(&other, "forged")).await?.expect_status(202)?;
    }
    ensure!(asks.answers().len() == known, "{:?}", asks.answers());
    owner.post(answer(id, "own")).await?.expect_status(202)?;
    let done = next(&mut stream).await?;
    ensure!(done["id"] == 7 && done["result"]["content"][0]["text"] == "ok", "{done}");
    owner.post(answer(id, "again")).await?.expect_status(202)?;
    owner.request("ping", "{}").await?.result()?;
    let answers = asks.answers();
    ensure!(answers.len() == 1 && answers[0].body.contains("own"), "{answers:?}");
    Ok(())
}

/// A call of a modern client that waits at a legacy server goes on once, for
/// its caller, with the arguments that it was made with.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_waits_goes_on_for_its_caller_and_once() -> Result<()> {
    let asks = Asks::start().await?;
    let hub = hub_over(&asks.server, &asks.server).await?;
    let (key, colleague) = (hub.create_key("red").await?, hub.create_key("red").await?);
    let address = hub.base().trim_start_matches("http://").to_owned();
    let send = async |request: &RawRequest| trunkline_tests::raw::exchange(&address, request).await?.json();
    let client = |key: &str| ModernClient::with_capabilities(hub.endpoint("red").with_key(key), ELICITATION);
    client(&colleague).request("tools/list", "{}").await?.result()?;
    let asked = send(&call(&hub, &key, "one__tool", PLAIN, "")).await?;
    let state = asked["result"]["requestState"].as_str().with_context(|| asked.to_string())?.to_owned();
    let question = asked["result"]["inputRequests"].as_object().and_then(|all| all.keys().next());
    let question = question.with_context(|| asked.to_string())?.clone();
    let more = format!(
        r#""inputResponses":{{"{question}":{{"action":"accept","content":{{"word":"own"}}}}}},"requestState":"{state}","#
    );
    quiet(|| asks.server.requests()).await?;
    let row =
        |name: &str, request: RawRequest, refusal: Refusal| Row { name: name.to_owned(), request, refusal };
    let mut rows = vec![
        row("a colleague", call(&hub, &colleague, "one__tool", PLAIN, &more), NOT_GIVEN),
        row("other arguments", call(&hub, &key, "one__tool", r#"{"a":2}"#, &more), NOT_GIVEN),
        row("another server", call(&hub, &key, "two__tool", PLAIN, &more), NOT_GIVEN),
    ];
    for changed in changes(&state) {
        let request = call(&hub, &key, "one__tool", PLAIN, &more.replace(&state, &changed));
        // What a text says in JSON is not always what it is.
        if !changed.contains('\n') {
            rows.push(row(&format!("{changed:.80}"), request, NOT_GIVEN));
        }
    }
    refused_by(&hub, || asks.server.requests(), rows).await?;
    // Two retries at the same time: one goes on.
    let retry = call(&hub, &key, "one__tool", PLAIN, &more);
    let (one, two) = tokio::join!(send(&retry), send(&retry));
    let (done, over): (Vec<_>, Vec<_>) =
        [one?, two?].into_iter().partition(|answer| answer["error"].is_null());
    ensure!(done.len() == 1 && done[0]["result"]["content"][0]["text"] == "ok", "{done:?} {over:?}");
    let known = asks.server.requests();
    let third = send(&retry).await?;
    for refused in over.iter().chain([&third]) {
        let said = "the call that \"requestState\" stands for is over, or goes on already; make it anew";
        ensure!(refused["error"] == json!({ "code": -32602, "message": said }), "{refused}");
        ensure!(refused["id"] == 1, "{refused}");
    }
    ensure!(asks.server.requests() == known, "the server was asked again");
    let answers = asks.answers();
    ensure!(answers.len() == 1 && answers[0].body.contains("own"), "{answers:?}");
    drop(asks.answered);
    Ok(())
}

/// A modern server knows what the client declared, and asks for something else.
#[tokio::test(flavor = "multi_thread")]
async fn a_modern_client_is_not_asked_for_what_it_did_not_declare() -> Result<()> {
    let server = asking_server().await?;
    let hub = hub_over(&server, &server).await?;
    let endpoint = hub.endpoint("red").with_key(&hub.create_key("red").await?);
    for declared in ["{}", r#"{"sampling":{}}"#, r#"{"elicitation":{"url":{}}}"#] {
        let client = ModernClient::with_capabilities(endpoint.clone(), declared);
        let error = client.request("tools/call", &call_params("one__ask", "{}")).await?.error()?;
        let said = "the server answered with a result of type input_required, which was not offered to it";
        ensure!((error.code, error.message.as_str()) == (-32603, said), "{declared}: {error:?}");
    }
    let client = ModernClient::with_capabilities(endpoint, ELICITATION);
    let asked = client.request("tools/call", &call_params("one__ask", "{}")).await?.result_value()?;
    ensure!(asked["resultType"] == "input_required", "{asked}");
    Ok(())
}
