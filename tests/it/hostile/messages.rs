//! Bodies that are no JSON-RPC message, or that two parsers could read
//! differently.

use anyhow::{Context as _, Result};

use super::stage::{LARGEST, Refusal, Row, Stage, call, unread};

const NOT_JSON: Refusal = unread(400, -32700, "the body is not valid UTF-8 JSON: …");
const BATCH: Refusal = unread(
    400,
    -32600,
    "JSON-RPC batches are not part of this protocol version; send one message per request",
);
const NOT_AN_OBJECT: Refusal = unread(400, -32600, "a message is a JSON object");
const TOO_DEEP: Refusal = unread(400, -32600, "the body is nested more than 128 levels deep");
const VERSION: Refusal = unread(400, -32600, "\"jsonrpc\" must be \"2.0\"");
const ID: Refusal = unread(400, -32600, "\"id\" must be a string or an integer of at most 53 bits");
const METHOD: Refusal = unread(400, -32600, "\"method\" must be a non-empty string");
const PARAMS: Refusal = unread(400, -32600, "\"params\" must be an object");
const SHAPE: Refusal =
    unread(400, -32600, "a message has a \"method\", or an \"id\" with a \"result\" or an \"error\"");

/// Each body at every door: what cannot be read is refused before anything
/// else is asked of it.
async fn refused_at_every_door<B: Into<Vec<u8>>>(
    stage: &Stage,
    bodies: Vec<(&str, B, Refusal)>,
) -> Result<()> {
    let doors = stage.doors().await?;
    let mut rows = Vec::new();
    for (name, body, refusal) in bodies {
        rows.extend(doors.rows(name, &body.into(), refusal));
    }
    stage.refuses(rows).await
}

fn good() -> String {
    call("scripted__tool_000", r#"{"text":"x"}"#)
}

/// A call with these arguments.
fn with(arguments: &str) -> String {
    call("scripted__tool_000", arguments)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_refused_whole() -> Result<()> {
    let stage = Stage::set().await?;
    stage.accepts(&stage.call()).await?;
    let bodies = vec![
        ("one call", format!("[{}]", good()), BATCH),
        ("a ping and a call", format!(r#"[{{"jsonrpc":"2.0","id":2,"method":"ping"}},{}]"#, good()), BATCH),
        ("empty", "[]".to_owned(), BATCH),
        ("after white space", format!(" \r\n\t[{}]", good()), BATCH),
        ("never closed", format!("[{}", good()), BATCH),
        ("a batch of batches", format!("[[{}]]", good()), BATCH),
    ];
    refused_at_every_door(&stage, bodies).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_in_utf_8_is_refused() -> Result<()> {
    let stage = Stage::set().await?;
    let utf_16 = |unit: fn(u16) -> [u8; 2]| good().encode_utf16().flat_map(unit).collect::<Vec<u8>>();
    let mark = unread(400, -32700, "the body starts with a byte order mark; send plain UTF-8");
    let followed_by = |tail: &[u8]| [good().as_bytes(), tail].concat();
    let in_text = |bytes: &[u8]| {
        [br#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":""#, bytes, br#""}}"#].concat()
    };
    let bodies = vec![
        ("a byte order mark", [b"\xef\xbb\xbf", good().as_bytes()].concat(), mark),
        ("UTF-16, little end first", utf_16(u16::to_le_bytes), NOT_JSON),
        ("UTF-16, big end first", utf_16(u16::to_be_bytes), NOT_JSON),
        ("UTF-16 with its mark", [vec![0xff, 0xfe], utf_16(u16::to_le_bytes)].concat(), NOT_JSON),
        ("Latin-1", in_text(b"\xe9"), NOT_JSON),
        ("an overlong form", in_text(b"\xc0\xaf"), NOT_JSON),
        ("a surrogate in UTF-8", in_text(b"\xed\xa0\x80"), NOT_JSON),
        ("a control character", in_text(b"\x01"), NOT_JSON),
        ("a line feed in a string", in_text(b"\n"), NOT_JSON),
        ("NaN", with(r#"{"text":NaN}"#).into(), NOT_JSON),
        ("Infinity", with(r#"{"text":-Infinity}"#).into(), NOT_JSON),
        ("a hexadecimal number", with(r#"{"text":0x1}"#).into(), NOT_JSON),
        ("a leading zero", with(r#"{"text":01}"#).into(), NOT_JSON),
        ("a comment", [b"/**/", good().as_bytes()].concat(), NOT_JSON),
        ("a form feed", [b"\x0c", good().as_bytes()].concat(), NOT_JSON),
        ("a trailing comma", with(r#"{"text":"x",}"#).into(), NOT_JSON),
        ("single quotes", with("{'text':'x'}").into(), NOT_JSON),
        ("a letter behind it", followed_by(b"x"), NOT_JSON),
        ("a second message", followed_by(good().as_bytes()), NOT_JSON),
        ("a second message on a line", followed_by(format!("\n{}", good()).as_bytes()), NOT_JSON),
        ("a NUL behind it", followed_by(b"\0"), NOT_JSON),
        ("a closing bracket behind it", followed_by(b"}"), NOT_JSON),
        ("cut off", good().into_bytes()[..good().len() - 1].to_vec(), NOT_JSON),
        ("nothing", Vec::new(), NOT_JSON),
        ("white space", b" \r\n".to_vec(), NOT_JSON),
        ("a number", b"7".to_vec(), NOT_AN_OBJECT),
        ("a string", b"\"ping\"".to_vec(), NOT_AN_OBJECT),
        ("null", b"null".to_vec(), NOT_AN_OBJECT),
    ];
    refused_at_every_door(&stage, bodies).await
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_and_large_bodies_are_refused() -> Result<()> {
    let stage = Stage::set().await?;
    let nested = |open: &str, close: &str, times: usize| {
        with(&format!(r#"{{"text":{}1{}}}"#, open.repeat(times), close.repeat(times)))
    };
    let known = stage.server.requests();
    assert_eq!(stage.send(&stage.request().body(nested("[", "]", 125))).await?.status, 200);
    assert_eq!(stage.server.requests(), known + 1, "as deep as it may be, it is forwarded");
    let brackets = format!(r#"{{"text":"{}"}}"#, "[{".repeat(1_000));
    stage.accepts(&stage.request().body(with(&brackets))).await?;
    stage.accepts(&stage.request().body(good() + &" ".repeat(LARGEST - good().len()))).await?;
    let too_large = unread(413, -32600, "the body is larger than 300000 bytes");
    let bodies = vec![
        ("one level too deep", nested("[", "]", 126), TOO_DEEP),
        ("100,000 arrays", nested("[", "]", 100_000), TOO_DEEP),
        ("40,000 objects", nested(r#"{"a":"#, "}", 40_000), TOO_DEEP),
        ("100,000 arrays never closed", "[".repeat(100_000), TOO_DEEP),
        ("100,000 objects never closed", r#"{"":"#.repeat(60_000), TOO_DEEP),
        ("deep beside the parameters", format!(r#"{{"x":{}"#, "[".repeat(200)), TOO_DEEP),
        ("one byte too large", good() + &" ".repeat(LARGEST + 1 - good().len()), too_large),
        ("three times too large", good() + &" ".repeat(3 * LARGEST), too_large),
    ];
    refused_at_every_door(&stage, bodies).await?;
    let chunks = format!("{:x}\r\n{}\r\n", 2 * LARGEST, " ".repeat(2 * LARGEST)).repeat(3);
    let announced = stage.call().unmeasured().with("Content-Length", "10000000000");
    let endless = stage.call().unmeasured().with("Transfer-Encoding", "chunked").body(chunks);
    let row = |name: &str, request| Row { name: name.to_owned(), request, refusal: too_large };
    stage
        .refuses(vec![
            row("announced as 10 GB", announced),
            row("too large in chunks, without an end", endless),
        ])
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_json_rpc_message_is_refused() -> Result<()> {
    let stage = Stage::set().await?;
    for (id, written) in
        [("\"1\"", "\"1\""), ("-7", "-7"), ("\"\"", "\"\""), ("9007199254740992", "9007199254740992")]
    {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
        let response = stage.accepts(&stage.request().body(body)).await?;
        assert_eq!(response.text(), format!(r#"{{"jsonrpc":"2.0","id":{written},"result":{{}}}}"#));
    }
    let bodies = vec![
        ("no jsonrpc", r#"{"id":1,"method":"ping"}"#, VERSION),
        ("jsonrpc 1.0", r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, VERSION),
        ("jsonrpc as a number", r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#, VERSION),
        ("an id of null", r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, ID),
        ("an id with a fraction", r#"{"jsonrpc":"2.0","id":1.0,"method":"ping"}"#, ID),
        ("an id with an exponent", r#"{"jsonrpc":"2.0","id":1e2,"method":"ping"}"#, ID),
        ("an id of 54 bits", r#"{"jsonrpc":"2.0","id":9007199254740993,"method":"ping"}"#, ID),
        ("a huge id", r#"{"jsonrpc":"2.0","id":99999999999999999999999,"method":"ping"}"#, ID),
        ("an id of true", r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#, ID),
        ("an array as id", r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#, ID),
        ("an object as id", r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, ID),
        ("an empty method", r#"{"jsonrpc":"2.0","id":1,"method":""}"#, METHOD),
        ("a number as method", r#"{"jsonrpc":"2.0","id":1,"method":7}"#, METHOD),
        ("null as method", r#"{"jsonrpc":"2.0","id":1,"method":null}"#, METHOD),
        ("half a character as method", r#"{"jsonrpc":"2.0","id":1,"method":"\ud800"}"#, METHOD),
        ("an array as params", r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#, PARAMS),
        ("null as params", r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":null}"#, PARAMS),
        ("a string as params", r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":"x"}"#, PARAMS),
        ("an id alone", r#"{"jsonrpc":"2.0","id":1}"#, SHAPE),
        ("a result and an error", r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#, SHAPE),
        ("a request with a result", r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#, SHAPE),
        ("a request with an error", r#"{"jsonrpc":"2.0","id":1,"method":"ping","error":{}}"#, SHAPE),
        ("a result without an id", r#"{"jsonrpc":"2.0","result":{}}"#, SHAPE),
    ];
    refused_at_every_door(&stage, bodies).await
}

/// An answer that nobody asked for changes nothing, in the legacy era
/// (2025-11-25, basic/transports: answers are taken with 202).
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_nothing_reaches_nobody() -> Result<()> {
    let stage = Stage::set().await?;
    let mut doors = stage.doors().await?;
    let old = stage.request().without("Mcp-Session-Id").aimed("POST", &doors.stream.address);
    let known = stage.server.requests();
    for body in [
        r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#,
        r#"{"jsonrpc":"2.0","id":"x","error":{"code":-1,"message":"no"}}"#,
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-1,"message":"no"}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/no-such-thing"}"#,
        r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"scripted__tool_000"}}"#,
    ] {
        for door in [stage.request(), old.clone()] {
            let response = stage.send(&door.body(body)).await?;
            assert_eq!((response.status, response.body.as_slice()), (202, &b""[..]), "{body}");
        }
    }
    stage.server.assert_untouched_since(known)?;
    // Nothing of it is answered: the next message of the old stream answers the next request.
    stage.send(&old.body(r#"{"jsonrpc":"2.0","id":"next","method":"ping"}"#)).await?;
    let answer = doors.stream.message().await?;
    assert_eq!(answer, serde_json::json!({ "jsonrpc": "2.0", "id": "next", "result": {} }));
    Ok(())
}

/// What a stricter or laxer parser would change passes as it was written.
#[tokio::test(flavor = "multi_thread")]
async fn arguments_pass_as_they_were_written() -> Result<()> {
    let stage = Stage::set().await?;
    for arguments in [
        r#"{"text":"\ud800"}"#,
        r#"{"text":"\udc00\ud800 \uD83D\uDE00"}"#,
        r#"{"text":"\u0000\u001b[31m\u202e"}"#,
        r#"{"text":"x","n":1e400,"m":-0.0,"big":123456789012345678901234567890.10}"#,
        r#"{ "text" : "x" , "t\u0065xt" : "y" }"#,
        r#"{"text":"<\/script>\u2028"}"#,
    ] {
        // The scripted server may be unable to read it: what counts is what reached it.
        let response = stage.send(&stage.request().body(with(arguments))).await?;
        assert_eq!(response.status, 200, "{}", response.text());
        let received = stage.server.received();
        let body = &received.last().context(arguments)?.body;
        assert!(body.contains(&format!(r#""arguments":{arguments}"#)), "{arguments} became {body}");
    }
    Ok(())
}
