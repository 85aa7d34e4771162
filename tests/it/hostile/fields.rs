//! Members that stand twice, or almost: whoever judged the message must have
//! read the one that the server reads.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::stage::{META, Refusal, Row, Stage, refused, unread};

const TWICE: [(&str, &str, Refusal); 12] = [
    (
        "method twice",
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"scripted__tool_000"}}"#,
        unread(400, -32600, "the member \"method\" stands twice in the message"),
    ),
    (
        "method twice, once with an escape",
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","m\u0065thod":"tools/call","params":{"name":"scripted__tool_000"}}"#,
        unread(400, -32600, "the member \"method\" stands twice in the message"),
    ),
    (
        "id twice",
        r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#,
        unread(400, -32600, "the member \"id\" stands twice in the message"),
    ),
    (
        "jsonrpc twice",
        r#"{"jsonrpc":"2.0","jsonrpc":"2.0","id":1,"method":"ping"}"#,
        unread(400, -32600, "the member \"jsonrpc\" stands twice in the message"),
    ),
    (
        "params twice",
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{},"params":{}}"#,
        unread(400, -32600, "the member \"params\" stands twice in the message"),
    ),
    (
        "method in another case",
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}"#,
        unread(400, -32600, "the member \"Method\" differs from a JSON-RPC member only in its case"),
    ),
    (
        "params in another case alone",
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","PARAMS":{}}"#,
        unread(400, -32600, "the member \"PARAMS\" differs from a JSON-RPC member only in its case"),
    ),
    (
        "name twice",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"scripted__tool_000","name":"scripted__tool_001"}}"#,
        refused(200, -32602, "the member \"name\" stands twice"),
    ),
    (
        "name twice, once with an escape",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"scripted__tool_000","n\u0061me":"scripted__tool_001"}}"#,
        refused(200, -32602, "the member \"name\" stands twice"),
    ),
    (
        "name in another case",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"scripted__tool_000","Name":"scripted__tool_001"}}"#,
        refused(200, -32602, "the member \"Name\" differs from \"name\" only in its case"),
    ),
    (
        "arguments twice",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"scripted__tool_000","arguments":{},"arguments":{"text":"x"}}}"#,
        refused(200, -32602, "the member \"arguments\" stands twice"),
    ),
    (
        "_meta twice",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"scripted__tool_000","_meta":{},"_meta":{"progressToken":1}}}"#,
        refused(200, -32602, "the member \"_meta\" stands twice"),
    ),
];

const TYPES: [(&str, &str, Refusal); 13] = [
    (
        "an unknown method",
        r#"{"jsonrpc":"2.0","id":1,"method":"no/such"}"#,
        refused(200, -32601, "Method not found: no/such"),
    ),
    (
        "a method in another case",
        r#"{"jsonrpc":"2.0","id":1,"method":"Tools/Call","params":{"name":"scripted__tool_000"}}"#,
        refused(200, -32601, "Method not found: Tools/Call"),
    ),
    (
        "a method with a space",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call ","params":{"name":"scripted__tool_000"}}"#,
        refused(200, -32601, "Method not found: tools/call "),
    ),
    (
        "a method of the modern era",
        r#"{"jsonrpc":"2.0","id":1,"method":"server/discover"}"#,
        refused(200, -32601, "Method not found: server/discover"),
    ),
    (
        "a server's method",
        r#"{"jsonrpc":"2.0","id":1,"method":"sampling/createMessage","params":{}}"#,
        refused(200, -32601, "Method not found: sampling/createMessage"),
    ),
    (
        "no params",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#,
        refused(200, -32602, "tools/call needs the tool's \"name\""),
    ),
    (
        "a number as name",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":7}}"#,
        refused(200, -32602, "\"name\" must be a string"),
    ),
    (
        "an array as name",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":["scripted__tool_000"]}}"#,
        refused(200, -32602, "\"name\" must be a string"),
    ),
    (
        "half a character as name",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\ud800"}}"#,
        refused(200, -32602, "\"name\" must be a string"),
    ),
    (
        "a number as uri",
        r#"{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":7}}"#,
        refused(200, -32602, "\"uri\" must be a string"),
    ),
    (
        "a reference in a string",
        r#"{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{"ref":"ref/prompt"}}"#,
        refused(200, -32602, "an object is expected"),
    ),
    (
        "a number as cursor",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":7}}"#,
        refused(200, -32602, "\"cursor\" must be a string"),
    ),
    (
        "a cursor of nobody",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"../../etc"}}"#,
        refused(200, -32602, "the cursor is unknown or the list has changed; list again without a cursor"),
    ),
];

fn rows(stage: &Stage, table: &[(&str, &str, Refusal)]) -> Vec<Row> {
    let row = |(name, body, refusal): &(&str, &str, Refusal)| Row {
        name: (*name).to_owned(),
        request: stage.request().body(*body),
        refusal: *refusal,
    };
    table.iter().map(row).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_stands_twice_is_refused() -> Result<()> {
    let stage = Stage::set().await?;
    stage.refuses(rows(&stage, &TWICE)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_of_another_type_is_refused() -> Result<()> {
    let stage = Stage::set().await?;
    stage.refuses(rows(&stage, &TYPES)).await
}

/// What a client without a session is told: what the headers repeat is read
/// before anything else, and errors have HTTP statuses (2026-07-28, basic).
const MODERN: [(&str, &str, Refusal); 8] = [
    (
        "name twice",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"scripted__tool_000","name":"scripted__tool_001"}}"#,
        refused(400, -32602, "the member \"name\" stands twice"),
    ),
    (
        "name twice, once with an escape",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"scripted__tool_000","n\u0061me":"scripted__tool_001"}}"#,
        refused(400, -32602, "the member \"name\" stands twice"),
    ),
    (
        "name in another case",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"scripted__tool_000","Name":"scripted__tool_001"}}"#,
        refused(400, -32602, "the member \"Name\" differs from \"name\" only in its case"),
    ),
    (
        "arguments twice",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"scripted__tool_000","arguments":{},"arguments":{"text":"x"}}}"#,
        refused(200, -32602, "the member \"arguments\" stands twice"),
    ),
    (
        "requestState twice",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"scripted__tool_000","requestState":"a","requestState":"b"}}"#,
        refused(200, -32602, "the member \"requestState\" stands twice"),
    ),
    (
        "a number as name",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":7}}"#,
        refused(400, -32602, "\"name\" must be a string"),
    ),
    (
        "half a character as name",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"\ud800"}}"#,
        refused(400, -32602, "\"name\" must be a string"),
    ),
    (
        "no name",
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{}}}"#,
        refused(400, -32602, "params need a \"name\""),
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_member_that_stands_twice_is_refused_without_a_session_too() -> Result<()> {
    let stage = Stage::set().await?;
    let doors = stage.doors().await?;
    let (_, modern) = &doors.requests[1];
    let with_meta = |body: &str| body.replacen("\"params\":{", &format!("\"params\":{{{META},"), 1);
    stage.accepts(&modern.clone().body(with_meta(&super::stage::call("scripted__tool_000", "{}")))).await?;
    let row = |(name, body, refusal): &(&str, &str, Refusal)| Row {
        name: (*name).to_owned(),
        request: modern.clone().body(with_meta(body)),
        refusal: *refusal,
    };
    stage.refuses(MODERN.iter().map(row).collect()).await
}

/// The old transport takes a message with 202 and answers on its stream: what
/// a session is refused with an error, it is too.
#[tokio::test(flavor = "multi_thread")]
async fn the_old_transport_refuses_the_same_on_its_stream() -> Result<()> {
    let stage = Stage::set().await?;
    let mut doors = stage.doors().await?;
    let old = stage.request().without("Mcp-Session-Id").aimed("POST", &doors.stream.address);
    let known = stage.server.requests();
    for (name, body, refusal) in TWICE.iter().chain(&TYPES) {
        let Refusal::Rpc { status: 200, id, code, message } = refusal else { continue };
        let response = stage.send(&old.clone().body(*body)).await?;
        assert_eq!((response.status, response.body.as_slice()), (202, &b""[..]), "{name}");
        let answer = doors.stream.message().await.with_context(|| (*name).to_owned())?;
        let id: Value = serde_json::from_str(id)?;
        let error = json!({ "code": code, "message": message });
        assert_eq!(answer, json!({ "jsonrpc": "2.0", "id": id, "error": error }), "{name}");
    }
    stage.server.assert_untouched_since(known)
}
