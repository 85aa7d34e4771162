//! Paths and HTTP methods that no route has: nothing falls to a default.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::stage::{Refusal, Row, Stage, unread};

const NO_ROUTE: Refusal = Refusal::Problem { status: 404, title: "Not found" };
const NO_PROFILE: Refusal = unread(404, -32600, "there is no profile named …");

/// The admin API is among them: it is on the control socket alone.
const UNROUTED: [&str; 23] = [
    "/mcp",
    "/mcp/",
    "/mcp/red/",
    "/mcp//red",
    "//mcp/red",
    "/MCP/red",
    "/%6dcp/red",
    "/mcp%2Fred",
    "/mcp/../mcp/red",
    "/mcp/blue/../red",
    "/mcp/%2e%2e/red",
    "/mcp/./red",
    "/mcp/red/sse/",
    "/mcp/red/SSE",
    "/mcp/red/sse/x",
    "/mcp/red/../../healthz",
    "/mcp/red/.well-known/oauth-protected-resource",
    "/v1/messages",
    "/mcp-rest/test/connection",
    "/mcp;x/red",
    "/.env",
    "/metrics/../mcp/red",
    "mcp/red",
];

const UNNAMED: [&str; 21] = [
    "/mcp/nobody",
    "/mcp/RED",
    "/mcp/Red",
    "/mcp/default",
    "/mcp/*",
    "/mcp/%7Bprofile%7D",
    "/mcp/red%2Fsse",
    "/mcp/a%2Fb",
    "/mcp/red%00",
    "/mcp/red%20",
    "/mcp/%20red",
    "/mcp/red;x",
    "/mcp/red%0d%0aX-Evil:%201",
    "/mcp/red%3Fx",
    "/mcp/..",
    "/mcp/.",
    "/mcp/%2e%2e",
    "/mcp/%",
    "/mcp/%ff",
    "/mcp/%c0%afred",
    "/mcp/r%C9%99d",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_path_without_a_profile_reaches_none() -> Result<()> {
    let stage = Stage::set().await?;
    for own in ["/mcp/red?profile=blue", "/mcp/%72ed", "/mcp/red?x=/../blue"] {
        stage.accepts(&stage.call().aimed("POST", own)).await?;
    }
    let mut rows = Vec::new();
    for method in ["POST", "GET", "DELETE", "PUT"] {
        for target in UNNAMED {
            let request = stage.call().aimed(method, target);
            rows.push(Row { name: format!("{method} {target}"), request, refusal: NO_PROFILE });
        }
        for target in UNROUTED {
            let refusal = if target.starts_with('/') { NO_ROUTE } else { Refusal::Transport { status: 400 } };
            let request = stage.call().aimed(method, target);
            rows.push(Row { name: format!("{method} {target}"), request, refusal });
        }
    }
    let long = format!("/mcp/{}", "a".repeat(10_000));
    rows.push(Row {
        name: "a long name".to_owned(),
        request: stage.call().aimed("POST", &long),
        refusal: NO_PROFILE,
    });
    stage.refuses(rows).await
}

/// The key of one profile is nobody's at the endpoint of another.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_opens_its_own_profile_alone() -> Result<()> {
    let stage = Stage::set().await?;
    let other = unread(
        401,
        -32600,
        "This API key belongs to another profile. Use the endpoint of that profile, or a key of this one.",
    );
    let mut rows = Vec::new();
    for profile in ["blue", "signin", "open"] {
        for (method, suffix) in [
            ("POST", ""),
            ("GET", ""),
            ("DELETE", ""),
            ("PUT", ""),
            ("GET", "/sse"),
            ("POST", "/sse?sessionId=x"),
        ] {
            let target = format!("/mcp/{profile}{suffix}");
            let request = stage.call().aimed(method, &target);
            rows.push(Row { name: format!("{method} {target}"), request, refusal: other });
        }
    }
    let blue = stage.call().set("Authorization", format!("Bearer {}", stage.other_key));
    rows.push(Row { name: "the other way".to_owned(), request: blue, refusal: other });
    stage.refuses(rows).await
}

#[tokio::test(flavor = "multi_thread")]
async fn other_http_methods_are_refused() -> Result<()> {
    let stage = Stage::set().await?;
    let known = stage.server.requests();
    let mut audited = BTreeMap::new();
    for method in ["PUT", "PATCH", "OPTIONS", "HEAD", "TRACE", "CONNECT", "PROPFIND", "post", "GETX"] {
        for (target, allow) in [("/mcp/red", "GET, POST, DELETE"), ("/mcp/red/sse", "GET, POST")] {
            let response = stage.send(&stage.call().aimed(method, target)).await;
            let name = format!("{method} {target}");
            let response = response.with_context(|| name.clone())?;
            assert_eq!(response.status, 405, "{name}");
            assert_eq!(response.header("allow"), Some(allow), "{name}");
            assert!(!response.text().contains("tlk_"), "{name}: nothing is echoed");
            audited.insert(response.header("x-request-id").context("no id")?.to_owned(), name);
        }
    }
    for method in ["GET", "DELETE"] {
        let request = stage.request().aimed(method, "/mcp/red").with("MCP-Protocol-Version", "2026-07-28");
        let response = stage.send(&request).await?;
        assert_eq!((response.status, response.header("allow")), (405, Some("POST")), "a modern {method}");
        audited
            .insert(response.header("x-request-id").context("no id")?.to_owned(), format!("modern {method}"));
    }
    stage.server.assert_untouched_since(known)?;
    stage.recorded(&audited).await
}

/// HTTP/2 and TLS where HTTP/1.1 is expected, and an upgrade: no server hears
/// of it, and the hub goes on.
#[tokio::test(flavor = "multi_thread")]
async fn other_protocols_disturb_nothing() -> Result<()> {
    let stage = Stage::set().await?;
    let known = stage.server.requests();
    for junk in [
        &b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\njunk that is no frame"[..],
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03",
        b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
        b"\0\0\0\0\0\0\0\0\r\n\r\n",
        b"\r\n\r\n\r\n\r\n",
    ] {
        let mut connection = trunkline_tests::raw::RawConnection::open(stage.address()).await?;
        connection.send(junk).await?;
        connection.half_close().await?;
        let answer = connection.rest().await.unwrap_or_default();
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{junk:?}: {}", String::from_utf8_lossy(&answer));
    }
    stage.server.assert_untouched_since(known)?;
    let upgrade = stage.call().with("Connection", "Upgrade").with("Upgrade", "websocket");
    assert_eq!(stage.send(&upgrade).await?.status, 200, "an upgrade that nobody offers is ignored");
    stage.accepts(&stage.call()).await?;
    Ok(())
}
