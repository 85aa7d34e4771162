//! What a body claims to be, and where it ends (RFC 9110 section 8, RFC 9112
//! section 6): whoever stands before the hub must have seen the same request.

use anyhow::Result;
use trunkline_tests::raw::{RawConnection, RawRequest};

use super::stage::{Refusal, Row, Stage, refused, unread};

const NOT_JSON: Refusal = unread(415, -32600, "the Content-Type must be application/json");
const ENCODED: Refusal = unread(415, -32600, "the body has a Content-Encoding; send it without");
const TRANSFER_CODED: Refusal =
    unread(501, -32600, "the body has a Transfer-Encoding besides chunked; send it without");
const MALFORMED: Refusal = unread(400, -32600, "the body broke off or is malformed");
const BROKEN: Refusal = Refusal::Transport { status: 400 };

fn row(name: impl Into<String>, request: RawRequest, refusal: Refusal) -> Row {
    Row { name: name.into(), request, refusal }
}

/// A call whose body is one chunk.
fn chunked(stage: &Stage) -> RawRequest {
    let request = stage.call().unmeasured();
    let body = format!("{:x}\r\n{}\r\n0\r\n\r\n", request.body.len(), String::from_utf8_lossy(&request.body));
    request.body(body)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_another_type_is_refused() -> Result<()> {
    let stage = Stage::set().await?;
    for good in [
        "application/json",
        "APPLICATION/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=\"UTF-8\"",
        "application/json; boundary=x",
    ] {
        stage.accepts(&stage.call().set("Content-Type", good)).await?;
    }
    let mut rows = Vec::new();
    for (door, call) in stage.doors().await?.calls() {
        rows.push(row(format!("no type at {door}"), call.clone().without("Content-Type"), NOT_JSON));
        for bad in [
            "",
            "text/plain",
            "text/event-stream",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/json-rpc",
            "application/jsonp",
            "application/problem+json",
            "application/json, text/plain",
            "application/json; charset=utf-16",
            "application/json; charset=utf-8; charset=utf-16",
            "*/*",
            "json",
        ] {
            rows.push(row(format!("{bad} at {door}"), call.clone().set("Content-Type", bad), NOT_JSON));
        }
        for second in ["text/plain", "application/json"] {
            let request = call.clone().with("content-type", second);
            rows.push(row(format!("a second type {second} at {door}"), request, NOT_JSON));
        }
    }
    stage.refuses(rows).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encoded_body_is_refused_before_it_is_decoded() -> Result<()> {
    let stage = Stage::set().await?;
    stage.accepts(&stage.call().with("Content-Encoding", "identity")).await?;
    // One stored block of a gzip file that says it holds 64 KiB, again and again.
    let bomb = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[0_u8; 4096].repeat(16)].concat();
    let mut rows = Vec::new();
    for (door, call) in stage.doors().await?.calls() {
        let zipped = call.clone().body(bomb.clone()).with("Content-Encoding", "gzip");
        rows.push(row(format!("a bomb at {door}"), zipped, ENCODED));
        for coding in [
            "gzip",
            "x-gzip",
            "deflate",
            "br",
            "zstd",
            "compress",
            "gzip, identity",
            "identity, gzip",
            "",
            "*",
        ] {
            let request = call.clone().with("Content-Encoding", coding);
            rows.push(row(format!("{coding:?} at {door}"), request, ENCODED));
        }
        let twice = call.with("Content-Encoding", "identity").with("Content-Encoding", "gzip");
        rows.push(row(format!("twice at {door}"), twice, ENCODED));
    }
    stage.refuses(rows).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_without_a_certain_end_is_refused() -> Result<()> {
    let stage = Stage::set().await?;
    stage.accepts(&chunked(&stage).with("Transfer-Encoding", "Chunked")).await?;
    let mut rows = Vec::new();
    for coding in ["gzip, chunked", "chunked, chunked", "identity, chunked", "chunked;q=1, chunked"] {
        rows.push(row(coding, chunked(&stage).with("Transfer-Encoding", coding), TRANSFER_CODED));
    }
    for first in ["chunked", "identity", "gzip"] {
        let request = chunked(&stage).with("Transfer-Encoding", first).with("Transfer-Encoding", "chunked");
        rows.push(row(format!("{first}, then chunked"), request, TRANSFER_CODED));
    }
    for coding in ["xchunked", "chunked, gzip", "identity", "\"chunked\"", "chunked;q=1", "\x0bchunked", ""] {
        rows.push(row(coding, chunked(&stage).with("Transfer-Encoding", coding), BROKEN));
    }
    rows.push(row("a space before the colon", chunked(&stage).with("Transfer-Encoding ", "chunked"), BROKEN));
    for length in ["5, 5", "+5", "-1", "0x5", "5.0", "99999999999999999999", "", "five"] {
        let request = stage.call().unmeasured().with("Content-Length", length);
        rows.push(row(format!("a length of {length:?}"), request, BROKEN));
    }
    rows.push(row("two lengths", stage.call().with("Content-Length", "5"), BROKEN));
    rows.push(row("a folded header", stage.call().with("X-Folded", "a\r\n b"), BROKEN));
    rows.push(row("a NUL in a header", stage.call().with("X-Null", "a\0b"), BROKEN));
    rows.push(row("a space in a name", stage.call().with("X Space", "a"), BROKEN));
    for body in ["ffffffffffffffff1\r\n", "-1\r\nx\r\n0\r\n\r\n", "x\r\n\r\n", "\r\n0\r\n\r\n"] {
        let request = stage.call().unmeasured().with("Transfer-Encoding", "chunked").body(body);
        rows.push(row(format!("the chunk {body:?}"), request, MALFORMED));
    }
    let long = format!("1;{}\r\nx\r\n0\r\n\r\n", "a".repeat(40_000));
    let request = stage.call().unmeasured().with("Transfer-Encoding", "chunked").body(long);
    rows.push(row("a long chunk extension", request, MALFORMED));
    stage.refuses(rows).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_of_any_size_is_refused() -> Result<()> {
    let stage = Stage::set().await?;
    let large = Refusal::Transport { status: 431 };
    let many = (0..120).fold(stage.call(), |request, number| request.with(&format!("X-{number}"), "1"));
    let rows = vec![
        row("120 headers", many, large),
        row("a header of 100 kB", stage.call().with("X-Large", "a".repeat(100_000)), large),
        row("a name of 100 kB", stage.call().with(&"a".repeat(100_000), "x"), large),
        row("a path of 100 kB", stage.call().aimed("POST", &format!("/mcp/{}", "a".repeat(100_000))), large),
        row("a cookie of 100 kB", stage.call().with("Cookie", "a=b; ".repeat(20_000)), large),
    ];
    stage.refuses(rows).await
}

/// RFC 9112 section 6.1: with both, the chunks count, and the connection is
/// closed, so that nothing behind them becomes a request.
#[tokio::test(flavor = "multi_thread")]
async fn a_length_beside_chunks_smuggles_nothing() -> Result<()> {
    let stage = Stage::set().await?;
    for length_first in [true, false] {
        let length = ("Content-Length", "5");
        let coding = ("Transfer-Encoding", "chunked");
        let (first, second) = if length_first { (length, coding) } else { (coding, length) };
        let request = chunked(&stage).with(first.0, first.1).with(second.0, second.1);
        let known = stage.server.received_of("tools/call");
        let mut connection = RawConnection::open(stage.address()).await?;
        connection.send_aside([request.bytes(), stage.call().bytes()].concat());
        assert_eq!(connection.response("POST").await?.status, 200);
        assert!(connection.is_over().await?, "the request behind it was answered");
        assert_eq!(stage.server.received_of("tools/call"), known + 1);
    }
    Ok(())
}

/// A body belongs to the request before it, whatever the method.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_a_body_is_no_request() -> Result<()> {
    let stage = Stage::set().await?;
    let inner = stage.call().bytes();
    let known = stage.server.requests();
    for outer in [
        stage.request().aimed("GET", "/mcp/red").without("Mcp-Session-Id"),
        stage.request().aimed("PUT", "/mcp/red"),
        stage.request().aimed("GET", "/healthz"),
        stage.request().aimed("POST", "/mcp/nobody"),
        stage.request().aimed("POST", "/mcp/red").without("Authorization"),
    ] {
        let outer = outer.body(inner.clone()).with("Connection", "close");
        let mut connection = RawConnection::open(stage.address()).await?;
        connection.send_aside(outer.bytes());
        connection.response(&outer.method).await?;
        assert!(connection.is_over().await?, "{} {}", outer.method, outer.target);
        stage.server.assert_untouched_since(known)?;
    }
    Ok(())
}

/// Each of several requests that were sent at once is answered, in order.
#[tokio::test(flavor = "multi_thread")]
async fn requests_sent_at_once_are_answered_in_order() -> Result<()> {
    let stage = Stage::set().await?;
    let mut connection = RawConnection::open(stage.address()).await?;
    let good = stage.call().bytes();
    let bad = stage.request().body("[]").bytes();
    connection.send_aside([good.clone(), bad.clone(), good, bad].concat());
    for status in [200, 400, 200, 400] {
        assert_eq!(connection.response("POST").await?.status, status);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_the_client_cannot_take_is_not_asked_for() -> Result<()> {
    let stage = Stage::set().await?;
    for good in ["application/json", "*/*", "text/html, application/*;q=0.1"] {
        stage.accepts(&stage.call().set("Accept", good)).await?;
    }
    let neither = unread(406, -32600, "the Accept header must allow application/json and text/event-stream");
    let mut rows = Vec::new();
    for accept in ["text/html", "application/xml, image/*", "", "json"] {
        rows.push(row(format!("Accept {accept:?}"), stage.call().set("Accept", accept), neither));
    }
    let stream = unread(406, -32600, "a GET opens an event stream: Accept must allow text/event-stream");
    let get = stage.request().aimed("GET", "/mcp/red").set("Accept", "application/json");
    rows.push(row("a GET for JSON", get, stream));
    let twice = stage.call().with("Mcp-Session-Id", &stage.session);
    rows.push(row("a session twice", twice, refused(400, -32600, "the header Mcp-Session-Id stands twice")));
    stage.refuses(rows).await
}
