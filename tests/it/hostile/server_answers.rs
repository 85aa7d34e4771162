//! Servers that answer with something else than an answer.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use trunkline_tests::connection::call_params;
use trunkline_tests::hub::TestHub;
use trunkline_tests::mcp_client::{LegacyClient, ModernClient};
use trunkline_tests::process_facts::resident_kib;
use trunkline_tests::raw::{self, RawRequest};
use trunkline_tests::raw_server::{RawCall, RawServer, Step, chunk, chunked_head, http, modern, tool};

use super::server_streams::{call, fault, hub_over};

const JSON: &str = "application/json";

fn steps(call: &RawCall, elsewhere: &str) -> Vec<Step> {
    let id = &call.id;
    let json = |body: &str| vec![Step::Write(http("200 OK", JSON, body))];
    let other_id = |id: Value| json!({ "jsonrpc": "2.0", "id": id, "result": {} }).to_string();
    match call.text() {
        "another id" => json(&other_id(json!(id.as_u64().unwrap_or_default() + 1))),
        "a string of the id" => json(&other_id(json!(id.to_string()))),
        "no id" => json(r#"{"jsonrpc":"2.0","result":{}}"#),
        "a null id" => json(&other_id(Value::Null)),
        "a request" => json(&json!({ "jsonrpc": "2.0", "id": id, "method": "ping" }).to_string()),
        "a notification" => json(r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#),
        "a batch" => json(&format!("[{}]", call.answer())),
        "a mark" => json(&format!("\u{feff}{}", call.answer())),
        "two" => json(&format!("{}{}", call.answer(), call.answer())),
        "both" => json(&json!({ "jsonrpc": "2.0", "id": id, "result": {}, "error": {} }).to_string()),
        "id twice" => json(&format!(r#"{{"jsonrpc":"2.0","id":{id},"id":{id},"result":{{}}}}"#)),
        "no JSON" => json("<secret>"),
        "HTML" => vec![Step::Write(http("200 OK", "text/html", "<secret>"))],
        "500" => vec![Step::Write(http("500 Internal Server Error", "text/html", "<secret>"))],
        "503" => vec![Step::Write(http("503 Service Unavailable", "text/plain", "secret"))],
        "202" => vec![Step::Write(http("202 Accepted", JSON, ""))],
        "204" => vec![Step::Write(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())],
        "a redirect" => {
            let head = format!(
                "HTTP/1.1 307 Temporary Redirect\r\nLocation: {elsewhere}?secret\r\nContent-Length: 0\r\n\r\n"
            );
            vec![Step::Write(head.into_bytes())]
        }
        "compressed" => vec![Step::Write(http("200 OK\r\nContent-Encoding: gzip", JSON, "\u{1f}secret"))],
        "closed at once" => vec![Step::Close],
        "closed in the head" => vec![Step::Write(b"HTTP/1.1 200 OK\r\nContent-".to_vec()), Step::Close],
        "closed in the body" => {
            let mut whole = http("200 OK", JSON, &call.answer());
            whole.truncate(whole.len() - 5);
            vec![Step::Write(whole), Step::Close]
        }
        "closed in a chunk" => vec![
            Step::Write(chunked_head(JSON)),
            Step::Write(chunk(&call.answer().as_bytes()[..20])),
            Step::Close,
        ],
        "no HTTP" => vec![Step::Write(b"+OK secret\r\n\r\n".to_vec()), Step::Close],
        "a large length" => {
            vec![
                Step::Write(
                    format!("HTTP/1.1 200 OK\r\nContent-Type: {JSON}\r\nContent-Length: 9999999999\r\n\r\n")
                        .into_bytes(),
                ),
                Step::Hang,
            ]
        }
        "large" => json(&call.answer_with(&json!({ "content": "x".repeat(70_000) }))),
        "endless chunks" => {
            vec![Step::Write(chunked_head(JSON)), Step::Drip(chunk(&[b' '; 8_192]), Duration::from_millis(1))]
        }
        _ => vec![Step::Hang],
    }
}

const FAULTS: [(&str, &str, &str); 28] = [
    ("another id", NOT_MCP_ID, "not_mcp"),
    ("a string of the id", NOT_MCP_ID, "not_mcp"),
    ("no id", "…", "not_mcp"),
    ("a null id", "…", "not_mcp"),
    (
        "a request",
        "the server answered with something that is not MCP: the body is a request or notification instead of an answer",
        "not_mcp",
    ),
    (
        "a notification",
        "the server answered with something that is not MCP: the body is a request or notification instead of an answer",
        "not_mcp",
    ),
    (
        "a batch",
        "the server answered with something that is not MCP: JSON-RPC batches are not part of this protocol version; send one message per request",
        "not_mcp",
    ),
    ("a mark", "…", "not_mcp"),
    ("two", "…", "not_mcp"),
    ("both", "…", "not_mcp"),
    (
        "id twice",
        "the server answered with something that is not MCP: the member \"id\" stands twice in the message",
        "not_mcp",
    ),
    ("no JSON", "…", "not_mcp"),
    (
        "HTML",
        "the server answered with something that is not MCP: HTTP 200 with content type text/html",
        "not_mcp",
    ),
    (
        "500",
        "the server answered with something that is not MCP: HTTP 500 with content type text/html",
        "not_mcp",
    ),
    (
        "503",
        "the server answered with something that is not MCP: HTTP 503 with content type text/plain",
        "not_mcp",
    ),
    ("202", "…", "not_mcp"),
    ("204", "the server answered with something that is not MCP: HTTP 204 without a content type", "not_mcp"),
    ("a redirect", "…", "not_mcp"),
    ("compressed", "…", "not_mcp"),
    ("closed at once", "…", "connection_lost"),
    ("closed in the head", "…", "connection_lost"),
    ("closed in the body", "…", "connection_lost"),
    ("closed in a chunk", "…", "connection_lost"),
    ("no HTTP", "…", "connection_lost"),
    ("a large length", "the server's answer is larger than 65536 bytes", "too_large"),
    ("large", "the server's answer is larger than 65536 bytes", "too_large"),
    ("endless chunks", "the server's answer is larger than 65536 bytes", "too_large"),
    ("silence", "the server did not answer within 0 s", "timed_out"),
];

const NOT_MCP_ID: &str =
    "the server answered with something that is not MCP: the answer carries the id of another request";

/// Each of them is an error that names the server and says what it did, tells
/// nothing of what it sent, and leaves the next call alone.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_answer_is_an_error_of_the_server() -> Result<()> {
    let elsewhere = RawServer::start(|_| None).await?;
    let target = elsewhere.url.clone();
    let server = RawServer::start(move |call| {
        (call.method == "tools/call" && call.text() != "good").then(|| steps(call, &target))
    })
    .await?;
    let (hub, client) = hub_over(&server).await?;
    for (name, message, kind) in FAULTS {
        let started = Instant::now();
        let error = call(&client, name).await?.error()?;
        let expected = fault(message, kind);
        assert_eq!((error.code, &error.data), (expected.code, &expected.data), "{name}: {error:?}");
        if message != "…" {
            assert_eq!(error.message, expected.message, "{name}");
        }
        assert!(!error.message.contains("secret"), "{name}: {}", error.message);
        assert!(started.elapsed() < Duration::from_secs(10), "{name}: {:?}", started.elapsed());
        assert_eq!(call(&client, "good").await?.first_text()?, "ok", "after {name}");
    }
    assert!(elsewhere.received().is_empty(), "no redirect is followed");
    let asked =
        server.received().iter().filter(|call| call.method == "tools/call" && call.text() != "good").count();
    assert_eq!(asked, FAULTS.len(), "nothing that may have been executed is sent again");
    assert!(!hub.output().contains("secret"), "{}", hub.output());
    let trail = hub.cli(&["audit", "export", "--json"]).await?;
    let failed = trail.lines().filter(|line| line.contains(r#""is":"unreachable""#)).count();
    assert_eq!(failed, FAULTS.len(), "each is in the trail");
    assert!(!trail.contains("secret"));
    Ok(())
}

/// An error of the server, and a result with members of any kind, pass
/// unchanged; what HTTP said of them does not pass.
#[tokio::test(flavor = "multi_thread")]
async fn what_http_says_of_an_answer_stays_here() -> Result<()> {
    const HEADERS: &str = "Set-Cookie: sid=stolen; Path=/\r\nX-Evil: 1\r\nAccess-Control-Allow-Origin: *\r\n\
         WWW-Authenticate: Bearer realm=\"evil\"\r\nX-Request-Id: forged\r\nLocation: http://evil.example\r\n\
         Refresh: 0\r\nMcp-Session-Id: forged\r\nCache-Control: public, max-age=9\r\nServer: evil";
    let server = RawServer::start(|call| {
        (call.method == "tools/call").then(|| {
            let status = format!("200 OK\r\n{HEADERS}");
            let body = match call.text() {
                "error" => json!({ "jsonrpc": "2.0", "id": call.id, "error": { "code": 401, "message": "m", "data": [1] } }).to_string(),
                _ => call.answer(),
            };
            let event = format!("data: {body}\n\n");
            vec![Step::Write(match call.text() {
                "stream" => http(&status, "text/event-stream", &event),
                _ => http(&status, JSON, &body),
            })]
        })
    })
    .await?;
    let (hub, client) = hub_over(&server).await?;
    let address = hub.base().trim_start_matches("http://");
    for text in ["error", "json", "stream"] {
        let body = super::stage::call("tool", &json!({ "text": text }).to_string());
        let request = RawRequest::new("POST", "/mcp/team")
            .with("Host", address)
            .with("Content-Type", JSON)
            .with("Accept", "application/json, text/event-stream")
            .with("Mcp-Session-Id", client.session().unwrap_or_default())
            .body(body);
        let response = raw::exchange(address, &request).await?;
        assert_eq!(response.status, 200, "{text}: a server's error is no HTTP error");
        let mut names: Vec<&str> = response.headers.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["cache-control", "content-length", "content-type", "date", "x-request-id"],
            "{text}"
        );
        assert_eq!(response.header("cache-control"), Some("no-store"));
        assert_ne!(response.header("x-request-id"), Some("forged"));
        let answer = response.json()?;
        if text == "error" {
            assert_eq!(answer["error"], json!({ "code": 401, "message": "m", "data": [1] }));
        }
    }
    Ok(())
}

/// What the hub puts into an answer is in it whatever the answer comes as: a
/// server's own state reaches no client.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_rewritten_in_every_form_it_comes_in() -> Result<()> {
    const FORMS: [&str; 9] = [
        "json",
        "JSON with a charset",
        "an event",
        "an event on two lines",
        "an event of another name",
        "carriage returns",
        "after a notification",
        "as an error status",
        "as a created status",
    ];
    let server = RawServer::start(|call| {
        let greeted = modern(call, &[tool("tool")]);
        if greeted.is_some() || call.method != "tools/call" {
            return greeted;
        }
        let ask = json!({ "a": { "method": "roots/list" } });
        let result = json!({ "resultType": "input_required", "inputRequests": ask, "requestState": "own-secret" });
        let body = call.answer_with(&result);
        let log = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": 1 } });
        let (first, second) = body.split_at(body.find(',')? + 1);
        let stream = |text: String| http("200 OK", "text/event-stream", &text);
        Some(vec![Step::Write(match call.text() {
            "json" => http("200 OK", JSON, &body),
            "JSON with a charset" => http("200 OK", "Application/JSON ; Charset=UTF-8", &body),
            "an event" => stream(format!("data: {body}\n\n")),
            "an event on two lines" => stream(format!(": x\nid: 7\ndata: {first}\ndata:{second}\n\n")),
            "an event of another name" => stream(format!("event: other\ndata: {body}\n\n")),
            "carriage returns" => stream(format!("data: {body}\r\r")),
            "after a notification" => stream(format!("data: {log}\n\ndata: {body}\n\n")),
            "as an error status" => http("400 Bad Request", JSON, &body),
            _ => http("201 Created", JSON, &body),
        })])
    })
    .await?;
    let hub = TestHub::start(&format!(
        "servers:\n  raw: {{ url: {:?} }}\nprofiles:\n  team: {{ auth: none, servers: {{ raw: {{ prefix: \"\" }} }} }}\n",
        server.url
    ))
    .await?;
    let client = ModernClient::with_capabilities(hub.endpoint("team"), r#"{"roots":{}}"#);
    for form in FORMS {
        let params = call_params("tool", &json!({ "text": form }).to_string());
        let answer = client.request("tools/call", &params).await.context(form)?;
        assert!(!answer.text().contains("own-secret"), "{form}: {}", answer.text());
        match form {
            // No result, whatever it says; and events of another name are no messages.
            "an event of another name" | "as an error status" => {
                assert_eq!(answer.error()?.code, -32603, "{form}");
            }
            _ => {
                let result = answer.result_value().context(form)?;
                assert_eq!(result["resultType"], "input_required", "{form}");
                assert!(
                    result["requestState"].as_str().is_some_and(|state| state.len() > 40),
                    "{form}: {result}"
                );
            }
        }
    }
    Ok(())
}

/// More than the hub keeps of one answer, in each of the ways it can come: the
/// caller is told, nobody else notices, and the memory is given back.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_50_mb_is_cut_off() -> Result<()> {
    const TOO_LARGE: &str = "Server raw: the server's answer is larger than 33554432 bytes";
    let server = RawServer::start(|call| {
        let piece = || "x".repeat(1 << 20);
        let rest = |start: &str| {
            let begin = [chunk(start.as_bytes())].concat();
            std::iter::once(Step::Write(begin))
                .chain((0..50).map(move |_| Step::Write(chunk(piece().as_bytes()))))
        };
        (call.method == "tools/call" && call.text() != "good").then(|| match call.text() {
            "announced" => {
                let head =
                    format!("HTTP/1.1 200 OK\r\nContent-Type: {JSON}\r\nContent-Length: 52428800\r\n\r\n\"");
                let body = (0..49).map(|_| Step::Write(piece().into_bytes()));
                std::iter::once(Step::Write(head.into_bytes())).chain(body).collect()
            }
            "a stream" => std::iter::once(Step::Write(chunked_head("text/event-stream")))
                .chain(rest("data: \""))
                .collect(),
            _ => std::iter::once(Step::Write(chunked_head(JSON))).chain(rest("\"")).collect(),
        })
    })
    .await?;
    let hub = TestHub::start(&format!(
        "servers:\n  raw: {{ url: {:?} }}\nprofiles:\n  team: {{ auth: none, servers: {{ raw: {{ prefix: \"\" }} }} }}\n",
        server.url
    ))
    .await?;
    let client = LegacyClient::connect(hub.endpoint("team")).await?;
    let id = hub.id()?;
    for form in ["announced", "in chunks", "a stream"] {
        let (large, good) = tokio::join!(call(&client, form), call(&client, "good"));
        assert_eq!(good?.first_text()?, "ok", "beside {form}");
        let error = large.context(form)?.error()?;
        assert_eq!((error.code, error.message.as_str()), (-32603, TOO_LARGE), "{form}");
    }
    let resident = resident_kib(id)?;
    assert!(resident < 300 * 1024, "{resident} KiB");
    Ok(())
}
