//! Headers that repeat the body (2026-07-28, basic/transports): a firewall
//! that believes them must not be deceived.

use anyhow::Result;
use trunkline_tests::message::MODERN;
use trunkline_tests::raw::RawRequest;

use super::stage::{META, Refusal, Row, Stage, refused};

const TOOL: &str = "scripted__tool_000";

const VERSIONS_DIFFER: Refusal =
    refused(400, -32020, "the header MCP-Protocol-Version and _meta name different versions");
const METHODS_DIFFER: Refusal = refused(400, -32020, "the header Mcp-Method and the body's method differ");
const NAMES_DIFFER: Refusal = refused(400, -32020, "the header Mcp-Name and params.name differ");

fn body(method: &str, params: &[&str]) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{}}}}}"#, params.join(","))
}

fn call_with(meta: &str) -> String {
    body("tools/call", &[r#""name":"scripted__tool_000","arguments":{"text":"x"}"#, meta])
}

/// A call of the modern era that is good in every way.
fn modern(stage: &Stage) -> RawRequest {
    stage
        .request()
        .without("Mcp-Session-Id")
        .with("MCP-Protocol-Version", MODERN)
        .with("Mcp-Method", "tools/call")
        .with("Mcp-Name", TOOL)
        .body(call_with(META))
}

fn row(name: impl Into<String>, request: RawRequest, refusal: Refusal) -> Row {
    Row { name: name.into(), request, refusal }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_differs_from_the_body_is_refused() -> Result<()> {
    let stage = Stage::set().await?;
    stage.accepts(&modern(&stage)).await?;
    stage.accepts(&modern(&stage).with("Mcp-Session-Id", "nobody's")).await?;
    let encoded = "=?base64?c2NyaXB0ZWRfX3Rvb2xfMDAw?=";
    stage.accepts(&modern(&stage).set("Mcp-Name", encoded)).await?;
    let mut rows = Vec::new();
    for version in
        ["2025-11-25", "2099-01-01", "", "x", "zzzz-zz-zz", "2026-07-28, 2026-07-28", "2026-07-28x"]
    {
        let request = modern(&stage).set("MCP-Protocol-Version", version);
        rows.push(row(format!("version {version:?}"), request, VERSIONS_DIFFER));
    }
    for method in ["tools/list", "Tools/Call", "tools/call, tools/call", "", "=?base64?dG9vbHMvY2FsbA==?="] {
        let request = modern(&stage).set("Mcp-Method", method);
        rows.push(row(format!("method {method:?}"), request, METHODS_DIFFER));
    }
    for name in [
        "scripted__tool_001",
        "SCRIPTED__TOOL_000",
        "",
        "=?base64?c2NyaXB0ZWRfX3Rvb2xfMDAx?=",
        "=?base64?!!!?=",
        "=?base64?c2NyaXB0ZWRfX3Rvb2xfMDAw",
        "=?BASE64?c2NyaXB0ZWRfX3Rvb2xfMDAw?=",
        "=?base64?gICA?=",
    ] {
        rows.push(row(format!("name {name:?}"), modern(&stage).set("Mcp-Name", name), NAMES_DIFFER));
    }
    let latin = refused(400, -32020, "the header mcp-name is not plain ASCII");
    rows.push(row("a name in Latin-1", modern(&stage).set("Mcp-Name", b"scripted__tool_000\xe9"), latin));
    stage.refuses(rows).await
}

/// The name of a prompt and the URI of a resource are repeated as well.
#[tokio::test(flavor = "multi_thread")]
async fn a_prompt_or_resource_under_another_name_is_refused() -> Result<()> {
    let stage = Stage::set().await?;
    let uris_differ = refused(400, -32020, "the header Mcp-Name and params.uri differ");
    let mut rows = Vec::new();
    for (method, member, own, differ) in [
        ("prompts/get", "name", "scripted__p", NAMES_DIFFER),
        ("resources/read", "uri", "demo://x", uris_differ),
    ] {
        let named = format!("\"{member}\":\"{own}\"");
        let request = modern(&stage).set("Mcp-Method", method).body(body(method, &[&named, META]));
        for other in ["scripted__q", "demo://y", "", "DEMO://X", "demo://x ?", "=?base64?ZGVtbzovL3k=?="] {
            rows.push(row(format!("{method} {other:?}"), request.clone().set("Mcp-Name", other), differ));
        }
        let missing = refused(400, -32020, "the header Mcp-Name is missing");
        rows.push(row(format!("{method} without"), request.clone().without("Mcp-Name"), missing));
        let lie = refused(400, -32020, "the header Mcp-Method and the body's method differ");
        let listed = request.set("Mcp-Name", own).set("Mcp-Method", "tools/list");
        rows.push(row(format!("{method} as a list"), listed, lie));
    }
    stage.refuses(rows).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_is_missing_or_stands_twice_is_refused() -> Result<()> {
    let stage = Stage::set().await?;
    let mut rows = Vec::new();
    for (header, other, missing, twice) in [
        (
            "MCP-Protocol-Version",
            "2025-11-25",
            refused(400, -32020, "the header MCP-Protocol-Version is missing"),
            refused(400, -32020, "the header mcp-protocol-version stands twice"),
        ),
        (
            "Mcp-Method",
            "tools/list",
            refused(400, -32020, "the header Mcp-Method is missing"),
            refused(400, -32020, "the header mcp-method stands twice"),
        ),
        (
            "Mcp-Name",
            "scripted__tool_001",
            refused(400, -32020, "the header Mcp-Name is missing"),
            refused(400, -32020, "the header mcp-name stands twice"),
        ),
    ] {
        rows.push(row(format!("no {header}"), modern(&stage).without(header), missing));
        let again = modern(&stage);
        let value = again.headers.iter().find(|(name, _)| name == header).map(|(_, value)| value.clone());
        rows.push(row(format!("{header} twice"), again.with(header, value.unwrap_or_default()), twice));
        rows.push(row(format!("two of {header}"), modern(&stage).with(header, other), twice));
    }
    stage.refuses(rows).await
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_that_is_missing_or_malformed_is_refused() -> Result<()> {
    let stage = Stage::set().await?;
    let with_meta = |meta: &str| modern(&stage).body(call_with(meta));
    let version = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28""#;
    let capabilities = r#""io.modelcontextprotocol/clientCapabilities":{}"#;
    let no_capabilities =
        refused(400, -32602, "_meta needs \"io.modelcontextprotocol/clientCapabilities\", an object");
    let no_version = refused(400, -32602, "_meta needs \"io.modelcontextprotocol/protocolVersion\"");
    let not_spoken = refused(400, -32022, "protocol version \"2099-01-01\" is not spoken here");
    let future = with_meta(&META.replace(MODERN, "2099-01-01")).set("MCP-Protocol-Version", "2099-01-01");
    let rows = vec![
        row(
            "no _meta",
            modern(&stage).body(body("tools/call", &[r#""name":"scripted__tool_000""#])),
            refused(400, -32602, "every request needs \"_meta\" in its params"),
        ),
        row(
            "no params",
            modern(&stage).body(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#),
            refused(400, -32602, "every request needs \"_meta\" in its params"),
        ),
        row("an empty _meta", with_meta(r#""_meta":{}"#), no_version),
        row("capabilities alone", with_meta(&format!(r#""_meta":{{{capabilities}}}"#)), no_version),
        row("a version alone", with_meta(&format!(r#""_meta":{{{version}}}"#)), no_capabilities),
        row("capabilities in an array", with_meta(&META.replace("{}", "[]")), no_capabilities),
        row(
            "a string as _meta",
            with_meta(r#""_meta":"x""#),
            refused(400, -32602, "_meta: an object is expected"),
        ),
        row(
            "_meta twice",
            with_meta(&format!("{META},{META}")),
            refused(400, -32602, "the member \"_meta\" stands twice"),
        ),
        row(
            "a number as version",
            with_meta(&META.replace("\"2026-07-28\"", "20260728")),
            refused(400, -32602, "_meta: \"io.modelcontextprotocol/protocolVersion\" must be a string"),
        ),
        row(
            "two versions",
            with_meta(&format!(r#""_meta":{{{version},{version},{capabilities}}}"#)),
            refused(
                400,
                -32602,
                "_meta: the member \"io.modelcontextprotocol/protocolVersion\" stands twice",
            ),
        ),
        row("a version of the future", future, not_spoken),
    ];
    stage.refuses(rows).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_method_of_another_era_is_not_found() -> Result<()> {
    let stage = Stage::set().await?;
    let mut rows = Vec::new();
    for method in ["initialize", "ping", "no/such", "logging/setLevel"] {
        let request =
            modern(&stage).without("Mcp-Name").set("Mcp-Method", method).body(body(method, &[META]));
        let message = match method {
            "initialize" => "Method not found: initialize",
            "ping" => "Method not found: ping",
            "no/such" => "Method not found: no/such",
            _ => "Method not found: logging/setLevel",
        };
        rows.push(row(method, request, refused(404, -32601, message)));
    }
    let answer = modern(&stage).body(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    let no_answers = refused(400, -32600, "a client of this protocol version posts no answers");
    rows.push(row("an answer", answer, no_answers));
    stage.refuses(rows).await
}

/// Legacy messages need none of these headers, but what one says is believed
/// by whoever stands between.
#[tokio::test(flavor = "multi_thread")]
async fn a_legacy_message_does_not_lie_in_its_headers() -> Result<()> {
    let stage = Stage::set().await?;
    stage.accepts(&stage.call().with("Mcp-Method", "tools/call").with("Mcp-Name", TOOL)).await?;
    stage.accepts(&stage.call().with("MCP-Protocol-Version", "2025-06-18")).await?;
    let not_spoken = |message| refused(400, -32022, message);
    let twice = refused(400, -32600, "the header MCP-Protocol-Version stands twice");
    let two = |one: &str, other: &str| {
        stage.call().with("MCP-Protocol-Version", one).with("MCP-Protocol-Version", other)
    };
    let version = |version: &str| stage.call().with("MCP-Protocol-Version", version);
    let rows = vec![
        row("another method", stage.call().with("Mcp-Method", "tools/list"), METHODS_DIFFER),
        row("another name", stage.call().with("Mcp-Name", "scripted__tool_001"), NAMES_DIFFER),
        row(
            "two methods",
            stage.call().with("Mcp-Method", "tools/call").with("Mcp-Method", "tools/list"),
            refused(400, -32020, "the header mcp-method stands twice"),
        ),
        row(
            "1999-01-01",
            version("1999-01-01"),
            not_spoken("protocol version \"1999-01-01\" is not spoken here"),
        ),
        row("an empty version", version(""), not_spoken("protocol version \"\" is not spoken here")),
        row("two versions", two("2025-11-25", "2025-06-18"), twice),
        row("a version twice", two("2025-11-25", "2025-11-25"), twice),
        row(
            "a lying notification",
            stage
                .request()
                .with("Mcp-Method", "tools/call")
                .body(r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#),
            Refusal::Rpc {
                status: 400,
                id: "null",
                code: -32020,
                message: "the header Mcp-Method and the body's method differ",
            },
        ),
    ];
    stage.refuses(rows).await
}
