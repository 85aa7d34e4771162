//! Headers that repeat arguments of a tool (2026-07-28, basic/transports,
//! "custom headers from tool parameters"): a firewall that believes them must
//! not be deceived, and no server is sent what two readers read differently.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use trunkline_tests::connection::call_params;
use trunkline_tests::hub::TestHub;
use trunkline_tests::mcp_client::{LegacyClient, ModernClient};
use trunkline_tests::message::{self, MODERN};
use trunkline_tests::raw::{self, RawRequest};
use trunkline_tests::raw_server::{self, RawServer};

use super::stage::{META, Refusal, Row, quiet, refused, refused_by};

const DIFFER: Refusal =
    refused(400, -32020, "the header mcp-param-region and the argument that it repeats differ");
const MISSING: Refusal = refused(400, -32020, "the header mcp-param-region is missing");
const TWICE: Refusal = refused(400, -32020, "the header mcp-param-region stands twice");
const UNCLEAR: Refusal = refused(400, -32020, "the argument \"region\" cannot be read, or stands twice");

fn tools() -> Vec<Value> {
    let annotated = |name: &str, region: Value| {
        let properties = json!({ "region": region, "text": { "type": "string" } });
        json!({ "name": name, "inputSchema": { "type": "object", "properties": properties } })
    };
    vec![
        annotated("good", json!({ "type": "string", "x-mcp-header": "Region" })),
        annotated("spaced", json!({ "type": "string", "x-mcp-header": "Re gion" })),
        annotated("injecting", json!({ "type": "string", "x-mcp-header": "X\r\nEvil" })),
        annotated("number", json!({ "type": "number", "x-mcp-header": "Region" })),
        annotated(
            "inner",
            json!({ "type": "array", "items": { "type": "string", "x-mcp-header": "Region" } }),
        ),
        raw_server::tool("plain"),
    ]
}

async fn set(era: &str) -> Result<(RawServer, TestHub)> {
    let server = RawServer::start(|call| raw_server::modern(call, &tools())).await?;
    let hub = TestHub::start(&format!(
        "servers:\n  one: {{ url: {:?}, era: {era} }}\nprofiles:\n  \
         team: {{ auth: none, servers: {{ one: {{}} }} }}\n",
        server.url
    ))
    .await?;
    let client = ModernClient::new(hub.endpoint("team"));
    client.request("tools/call", &call_params("one__plain", "{}")).await?.result()?;
    quiet(|| server.requests()).await?;
    Ok((server, hub))
}

/// A call of `good` with these arguments and without the header.
fn call(hub: &TestHub, arguments: &str) -> RawRequest {
    let params = format!(r#"{{"name":"one__good","arguments":{arguments},{META}}}"#);
    RawRequest::new("POST", "/mcp/team")
        .with("Host", hub.base().trim_start_matches("http://"))
        .with("Content-Type", "application/json")
        .with("Accept", "application/json, text/event-stream")
        .with("MCP-Protocol-Version", MODERN)
        .with("Mcp-Method", "tools/call")
        .with("Mcp-Name", "one__good")
        .body(message::request("1", "tools/call", &params))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_does_not_repeat_the_argument_is_refused() -> Result<()> {
    let (server, hub) = set("modern").await?;
    let with = |arguments: &str, said: &[&[u8]]| {
        said.iter().fold(call(&hub, arguments), |request, value| request.with("Mcp-Param-Region", value))
    };
    for (arguments, said) in [
        (r#"{"region":"eu"}"#, &[&b"eu"[..]][..]),
        (r#"{"region":"\u0065u","x":1e400,"y":"\ud800"}"#, &[b"eu"]),
        (r#"{"region":"eu"}"#, &[b"=?base64?ZXU=?="]),
        (r#"{"region":null}"#, &[]),
        ("{}", &[]),
    ] {
        let response =
            raw::exchange(hub.base().trim_start_matches("http://"), &with(arguments, said)).await?;
        assert_eq!(response.status, 200, "{arguments}: {}", response.text());
    }
    let row = |arguments: &str, said: &[&[u8]], refusal| {
        let shown: Vec<_> = said.iter().map(|value| String::from_utf8_lossy(value)).collect();
        Row { name: format!("{arguments} as {shown:?}"), request: with(arguments, said), refusal }
    };
    let europe = r#"{"region":"eu"}"#;
    let rows = vec![
        row(europe, &[b"us"], DIFFER),
        row(europe, &[b"EU"], DIFFER),
        row(europe, &[b""], DIFFER),
        row(europe, &[b"eu, us"], DIFFER),
        row(europe, &[b"=?base64?dXM=?="], DIFFER),
        row(europe, &[b"=?base64?ZXU?="], DIFFER),
        row(europe, &[b"=?BASE64?ZXU=?="], DIFFER),
        row(europe, &[b"e\xfc"], DIFFER),
        row(europe, &[], MISSING),
        row(europe, &[b"eu", b"eu"], TWICE),
        row(europe, &[b"eu", b"us"], TWICE),
        row("{}", &[b"eu"], DIFFER),
        row(r#"{"region":null}"#, &[b"null"], DIFFER),
        row(r#"{"Region":"eu"}"#, &[b"eu"], DIFFER),
        row(r#"{"region":["eu"]}"#, &[b"eu"], DIFFER),
        row(r#"{"region":"007"}"#, &[b"7"], DIFFER),
        // What one reader cannot read hides nothing beside it.
        row(r#"{"region":"us","x":1e400}"#, &[], MISSING),
        row(r#"{"region":"us","x":1e400}"#, &[b"eu"], DIFFER),
        row(r#"{"region":"us","x":"\ud800"}"#, &[], MISSING),
        // What stands twice is read as the first by some, as the last by others.
        row(r#"{"region":"us","region":"eu"}"#, &[b"eu"], UNCLEAR),
        row(r#"{"region":"eu","r\u0065gion":"us"}"#, &[b"eu"], UNCLEAR),
        row(r#"{"region":"us","\ud800":1}"#, &[b"us"], UNCLEAR),
    ];
    refused_by(&hub, || server.requests(), rows).await
}

/// A client without such headers has them made for it, and is refused where
/// they could not be true.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_repeated_is_not_sent() -> Result<()> {
    let (server, hub) = set("modern").await?;
    let client = LegacyClient::connect(hub.endpoint("team")).await?;
    let params = call_params("one__good", r#"{"region":"größe"}"#);
    client.request("tools/call", &params).await?.result()?;
    quiet(|| server.requests()).await?;
    let received = server.received();
    let sent = received.iter().rfind(|sent| sent.method == "tools/call").context("it was not called")?;
    let header = sent.headers.iter().find(|(name, _)| name == "mcp-param-region");
    assert_eq!(header.map(|(_, value)| value.as_str()), Some("=?base64?Z3LDtsOfZQ==?="));
    let known = server.requests();
    let params = call_params("one__good", r#"{"region":"us","region":"eu"}"#);
    let error = client.request("tools/call", &params).await?.error()?;
    assert_eq!(
        (error.code, error.message.as_str()),
        (-32602, "the argument \"region\" cannot be read, or stands twice")
    );
    assert_eq!(server.requests(), known, "it reached the server");
    Ok(())
}

/// A tool whose annotations are invalid is not shown to clients over HTTP, and
/// what is not shown cannot be called.
#[tokio::test(flavor = "multi_thread")]
async fn a_tool_with_an_invalid_annotation_is_absent() -> Result<()> {
    let (server, hub) = set("modern").await?;
    let client = ModernClient::new(hub.endpoint("team"));
    let listed = client.request("tools/list", "{}").await?.result_value()?;
    let names: Vec<_> =
        listed["tools"].as_array().context("no list")?.iter().map(|tool| &tool["name"]).collect();
    assert_eq!(names, ["one__good", "one__plain"]);
    // The caller's own list is asked for behind the one that was shown.
    quiet(|| server.requests()).await?;
    let known = server.requests();
    for absent in ["one__spaced", "one__injecting", "one__number", "one__inner"] {
        let error = client.request("tools/call", &call_params(absent, "{}")).await?.error()?;
        assert_eq!((error.code, error.message), (-32602, format!("Unknown tool: {absent}")));
    }
    assert_eq!(server.requests(), known, "it reached the server");
    assert!(hub.output().contains("invalid x-mcp-header"), "the operator is not told: {}", hub.output());
    Ok(())
}
