//! Servers whose event streams come in any pieces, in any line ends, too
//! large, or never to an end.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::json;
use trunkline_tests::connection::call_params;
use trunkline_tests::hub::TestHub;
use trunkline_tests::mcp_client::LegacyClient;
use trunkline_tests::message::{Answer, ErrorObject};
use trunkline_tests::raw::{RawConnection, RawRequest};
use trunkline_tests::raw_server::{RawCall, RawServer, Step, chunk, chunked_head};

const LARGEST: usize = 65_536;

pub(super) async fn hub_over(server: &RawServer) -> Result<(TestHub, LegacyClient)> {
    let hub = TestHub::start(&format!(
        "limits: {{ response_bytes: {LARGEST} }}\nservers:\n  \
         raw: {{ url: {:?}, call_timeout: 500ms }}\nprofiles:\n  \
         team: {{ auth: none, servers: {{ raw: {{ prefix: \"\" }} }} }}\n",
        server.url
    ))
    .await?;
    let client = LegacyClient::connect(hub.endpoint("team")).await?;
    Ok((hub, client))
}

pub(super) async fn call(client: &LegacyClient, text: &str) -> Result<Answer> {
    let arguments = json!({ "text": text }).to_string();
    client.request("tools/call", &call_params("tool", &arguments)).await
}

/// The error for a server's fault; nothing of what the server sent is in it.
pub(super) fn fault(message: &str, kind: &str) -> ErrorObject {
    ErrorObject {
        code: -32603,
        message: format!("Server raw: {message}"),
        data: Some(json!({ "server": "raw", "kind": kind, "retryIsSafe": false })),
    }
}

/// A stream of all that the format allows: comments, fields without a colon,
/// unknown fields, a notification, data on several lines.
fn stream(call: &RawCall, line_end: &str) -> String {
    let id = &call.id;
    [
        ": comment",
        "",
        "event: message",
        "id: 1",
        "retry: 10",
        "unknown: field",
        r#"data: {"jsonrpc":"2.0","method":"notifications/message","#,
        r#"data:"params":{"level":"info","data":"größe"}}"#,
        "",
        "data",
        "",
        "event: other",
        "data: not JSON",
        "",
        &format!(r#"data:{{"jsonrpc":"2.0","id":{id},"#),
        r#"data: "result":{"content":[{"type":"text","text":"\u00fcber"}]}}"#,
        "",
        "",
    ]
    .join(line_end)
}

/// `split:LINE_END:POSITION` splits at one byte, `bytes:LINE_END` at each.
fn pieces(call: &RawCall) -> Option<Vec<Step>> {
    let mut words = call.text().split(':');
    let kind = words.next()?;
    let line_end = match words.next()? {
        "lf" => "\n",
        "cr" => "\r",
        "crlf" => "\r\n",
        _ => return None,
    };
    let whole = stream(call, line_end).into_bytes();
    let mut steps = vec![Step::Write(chunked_head("text/event-stream; charset=utf-8"))];
    if kind == "split" {
        let at = words.next()?.parse::<usize>().ok()?.min(whole.len() - 1);
        steps.push(Step::Write([chunk(&whole[..at]), chunk(&whole[at..])].concat()));
    } else {
        let each: Vec<u8> = whole.iter().flat_map(|byte| chunk(&[*byte])).collect();
        steps.push(Step::Write(each));
    }
    steps.push(Step::Write(chunk(b"")));
    Some(steps)
}

fn assert_whole(answer: &Answer, how: &str) -> Result<()> {
    assert_eq!(answer.result()?, r#"{"content":[{"type":"text","text":"\u00fcber"}]}"#, "{how}");
    assert_eq!(answer.before.len(), 1, "{how}: {:?}", answer.before);
    let params = answer.before[0].params.as_ref().map(|params| params.get());
    assert_eq!(params, Some(r#"{"level":"info","data":"größe"}"#), "{how}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_split_at_any_byte_says_the_same() -> Result<()> {
    let server = RawServer::start(|call| (call.method == "tools/call").then(|| pieces(call))?).await?;
    let (_hub, client) = hub_over(&server).await?;
    for line_end in ["lf", "cr", "crlf"] {
        let how = format!("bytes:{line_end}");
        assert_whole(&call(&client, &how).await?, &how)?;
        // The id has at most six digits.
        let longest = 360 + if line_end == "crlf" { 20 } else { 0 };
        for at in 1..longest {
            let how = format!("split:{line_end}:{at}");
            assert_whole(&call(&client, &how).await?, &how)?;
        }
    }
    Ok(())
}

/// A stream whose line ends are mixed, that begins with a byte order mark, or
/// whose last event has no empty line behind it (which drops it, WHATWG HTML
/// section 9.2.6).
#[tokio::test(flavor = "multi_thread")]
async fn odd_streams_are_read_by_the_book() -> Result<()> {
    let server = RawServer::start(|call| {
        (call.method == "tools/call").then(|| {
            let body = match call.text() {
                "mixed" => format!(": a\r: b\n\r\n\rdata: {}\r\n\n", call.answer()),
                "mark" => format!("\u{feff}data: {}\n\n", call.answer()),
                "twice" => format!("data: {}\n\ndata: {}\n\n", call.answer(), call.answer()),
                "unended" => format!("data: {}\n", call.answer()),
                "two in one" => format!("data: {}\ndata: {}\n\n", call.answer(), call.answer()),
                "a batch" => format!("data: [{}]\n\n", call.answer()),
                "an id with a line feed" => format!("id: 1\n2\ndata: {}\n\n", call.answer()),
                "nothing" => String::new(),
                _ => "data: no JSON\n\n".to_owned(),
            };
            vec![
                Step::Write(chunked_head("text/event-stream")),
                Step::Write([chunk(body.as_bytes()), chunk(b"")].concat().split_off(if body.is_empty() {
                    5
                } else {
                    0
                })),
            ]
        })
    })
    .await?;
    let (_hub, client) = hub_over(&server).await?;
    for good in ["mixed", "mark", "twice", "an id with a line feed"] {
        assert_eq!(call(&client, good).await?.first_text()?, "ok", "{good}");
    }
    for (bad, message, kind) in [
        (
            "unended",
            "the connection to the server was lost: the stream ended before the answer",
            "connection_lost",
        ),
        (
            "nothing",
            "the connection to the server was lost: the stream ended before the answer",
            "connection_lost",
        ),
    ] {
        assert_eq!(call(&client, bad).await?.error()?, fault(message, kind), "{bad}");
    }
    for bad in ["two in one", "a batch", "no JSON"] {
        let error = call(&client, bad).await?.error()?;
        let start =
            "Server raw: the server answered with something that is not MCP: an event of its stream: ";
        assert!(error.message.starts_with(start), "{bad}: {error:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_huge_event_is_cut_off() -> Result<()> {
    let server = RawServer::start(|call| {
        (call.method == "tools/call").then(|| {
            let piece = chunk("x".repeat(16_384).as_bytes());
            let start = match call.text() {
                "one line" => "data: ",
                "a comment" => ": ",
                _ => "id: ",
            };
            vec![
                Step::Write(chunked_head("text/event-stream")),
                Step::Write(chunk(start.as_bytes())),
                Step::Drip(piece, Duration::from_millis(1)),
            ]
        })
    })
    .await?;
    let (hub, client) = hub_over(&server).await?;
    for kind in ["one line", "a comment", "a field"] {
        let error = call(&client, kind).await?.error()?;
        assert_eq!(error, fault("the server's answer is larger than 65536 bytes", "too_large"), "{kind}");
    }
    assert!(!hub.output().contains("xxxxxxxx"), "nothing of it is in the log");
    Ok(())
}

/// Whatever drips, the call ends: soon when it says nothing of its progress.
#[tokio::test(flavor = "multi_thread")]
async fn an_endless_drip_is_given_up() -> Result<()> {
    let server = RawServer::start(|call| {
        (call.method == "tools/call").then(|| {
            let log = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": "x" } });
            let other = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": { "progressToken": "other", "progress": 1 } });
            let drip = match call.text() {
                "comments" => ": still here\n\n".to_owned(),
                "line ends" => "\n".to_owned(),
                "bytes" => "x".to_owned(),
                "logs" => format!("data: {log}\n\n"),
                "nobody's progress" => format!("data: {other}\n\n"),
                _ => return vec![Step::Write(chunked_head("application/json")), Step::Drip(chunk(b" "), Duration::from_millis(50))],
            };
            vec![Step::Write(chunked_head("text/event-stream")), Step::Drip(chunk(drip.as_bytes()), Duration::from_millis(50))]
        })
    })
    .await?;
    let (_hub, client) = hub_over(&server).await?;
    for kind in ["comments", "line ends", "bytes", "logs", "nobody's progress", "white space"] {
        let started = Instant::now();
        let error = call(&client, kind).await?.error()?;
        assert_eq!(error, fault("the server did not answer within 0 s", "timed_out"), "{kind}");
        assert!(started.elapsed() < Duration::from_secs(5), "{kind}: {:?}", started.elapsed());
    }
    Ok(())
}

/// Progress buys time, but not for ever.
#[tokio::test(flavor = "multi_thread")]
async fn progress_without_an_end_is_given_up() -> Result<()> {
    let server = RawServer::start(|call| {
        (call.method == "tools/call").then(|| {
            let token = &call.params["_meta"]["progressToken"];
            let params = json!({ "progressToken": token, "progress": 1 });
            let event = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params });
            let drip = chunk(format!("data: {event}\n\n").as_bytes());
            vec![Step::Write(chunked_head("text/event-stream")), Step::Drip(drip, Duration::from_millis(100))]
        })
    })
    .await?;
    let (_hub, client) = hub_over(&server).await?;
    let params = r#"{"name":"tool","_meta":{"progressToken":1}}"#;
    let started = Instant::now();
    let answer = client.request("tools/call", params).await?;
    assert_eq!(answer.error()?.data, fault("", "timed_out").data);
    assert!(answer.before.len() > 10, "it lived beyond the first 500 ms: {}", answer.before.len());
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    Ok(())
}

/// A client that asks and then reads nothing holds no place at the server.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_reads_nothing_is_given_up() -> Result<()> {
    let server = RawServer::start(|call| {
        (call.method == "tools/call" && call.text() == "flood").then(|| {
            let log = json!({ "jsonrpc": "2.0", "method": "notifications/message", "params": { "level": "info", "data": "x".repeat(60_000) } });
            let drip = chunk(format!("data: {log}\n\n").as_bytes());
            vec![Step::Write(chunked_head("text/event-stream")), Step::Drip(drip, Duration::from_millis(1))]
        })
    })
    .await?;
    let (hub, client) = hub_over(&server).await?;
    let body = super::stage::call("tool", r#"{"text":"flood"}"#);
    let address = hub.base().trim_start_matches("http://");
    let request = RawRequest::new("POST", "/mcp/team")
        .with("Host", address)
        .with("Content-Type", "application/json")
        .with("Mcp-Session-Id", client.session().unwrap_or_default())
        .body(body);
    let mut deaf = RawConnection::open(address).await?;
    deaf.send(&request.bytes()).await?;
    super::stage::until_async(async || {
        let trail = hub.cli(&["audit", "export", "--json"]).await?;
        Ok(trail.contains("the server did not answer within"))
    })
    .await?;
    assert_eq!(call(&client, "good").await?.first_text()?, "ok");
    drop(deaf);
    Ok(())
}

/// The stream on which a server speaks unasked: whatever it carries and
/// however it ends, calls go on, and it is not opened again and again.
#[tokio::test(flavor = "multi_thread")]
async fn a_standing_stream_of_any_kind_disturbs_no_call() -> Result<()> {
    const KINDS: [&str; 6] =
        ["endless", "no JSON", "questions", "answers", "over at once", "over and numbered"];
    for kind in KINDS {
        let server = RawServer::start(move |call| {
            if call.http_method != "GET" {
                return None;
            }
            let head = || Step::Write(chunked_head("text/event-stream"));
            let often = |event: String| {
                vec![
                    head(),
                    Step::Drip(chunk(format!("data: {event}\n\n").as_bytes()), Duration::from_millis(5)),
                ]
            };
            let over =
                |text: &str| vec![head(), Step::Write(chunk(text.as_bytes())), Step::Write(chunk(b""))];
            Some(match kind {
                "endless" => vec![head(), Step::Drip(chunk(&[b'x'; 4_096]), Duration::from_millis(5))],
                "no JSON" => often("{\"jsonrpc\":".to_owned()),
                "questions" => often(
                    json!({ "jsonrpc": "2.0", "id": 1, "method": "sampling/createMessage", "params": {} })
                        .to_string(),
                ),
                "answers" => {
                    often(json!({ "jsonrpc": "2.0", "id": 1, "result": { "content": [] } }).to_string())
                }
                "over at once" => over("retry: 0\ndata:\n\n"),
                _ => over("retry: 0\nid: 1\ndata:\n\n"),
            })
        })
        .await?;
        let (_hub, client) = hub_over(&server).await?;
        let streams = || server.received().iter().filter(|call| call.http_method == "GET").count();
        for _ in 0..5 {
            assert_eq!(call(&client, "good").await?.first_text()?, "ok", "{kind}");
        }
        super::stage::until(|| streams() > 0).await.context(kind)?;
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(call(&client, "good").await?.first_text()?, "ok", "{kind}");
        // The hub's own session and the caller's have a stream each.
        assert!(streams() <= 2 * 8, "{kind}: {} streams in half a second", streams());
    }
    Ok(())
}
