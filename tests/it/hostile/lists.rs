//! Servers whose lists have no end, no shape, or no sense: their part is
//! labelled, everybody else's is there.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use trunkline_tests::connection::call_params;
use trunkline_tests::hub::TestHub;
use trunkline_tests::mcp_client::LegacyClient;
use trunkline_tests::raw_server::{RawCall, RawServer, Step, chunk, chunked_head, http, tool};
use trunkline_tests::scripted::{Script, ScriptedServer};

/// The page of a list that this kind of server answers with.
fn page(kind: &str, call: &RawCall) -> Value {
    let cursor = call.params["cursor"].as_str().unwrap_or_default();
    match kind {
        "cyclic" => {
            let next = if cursor == "a" { "b" } else { "a" };
            json!({ "tools": [tool(&format!("t{next}"))], "nextCursor": next })
        }
        "endless" => {
            let number = cursor.parse::<u32>().unwrap_or_default() + 1;
            json!({ "tools": [tool(&format!("t{number}"))], "nextCursor": number.to_string() })
        }
        "its own cursor" => json!({ "tools": [tool("t")], "nextCursor": "same" }),
        "an empty cursor" => json!({ "tools": [tool("t")], "nextCursor": "" }),
        "a null cursor" => json!({ "tools": [tool("t")], "nextCursor": null }),
        "a number as list" => json!({ "tools": 7 }),
        "entries of any kind" => {
            json!({ "tools": [7, null, [], {}, { "name": 7 }, { "name": "" }, tool("t"), tool("t")] })
        }
        "a cursor of 900 kB" => {
            let next = if cursor.is_empty() { "x".repeat(900_000) } else { String::new() };
            json!({ "tools": [tool(&format!("t{}", cursor.len()))], "nextCursor": next })
        }
        "an object as cursor" => match call.params["cursor"] {
            Value::Null => json!({ "tools": [tool("t")], "nextCursor": { "page": 2 } }),
            _ => json!({ "tools": [tool("u")] }),
        },
        "an array as result" => json!([tool("t")]),
        "too many" => {
            let page = cursor.parse::<u32>().unwrap_or_default();
            let tools: Vec<Value> = (0..300).map(|number| tool(&format!("t{page}_{number}"))).collect();
            json!({ "tools": tools, "nextCursor": (page + 1).to_string() })
        }
        _ => json!({ "tools": [tool("t")] }),
    }
}

/// The answer of this kind of server.
fn answer(kind: &str, call: &RawCall) -> String {
    let many = |count: usize| {
        let tools: Vec<String> = (0..count).map(|number| format!(r#"{{"name":"t{number}"}}"#)).collect();
        format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"tools":[{}]}}}}"#, call.id, tools.join(","))
    };
    match kind {
        "100,000 at once" => many(100_000),
        "20,001 on a page" => many(20_001),
        _ => call.answer_with(&page(kind, call)),
    }
}

/// What is left of each, and why if it is missing.
const KINDS: [(&str, usize, Option<&str>); 9] = [
    ("cyclic", 0, Some("tools/list repeats a cursor: its pages never end")),
    ("endless", 0, Some("tools/list has more than 200 pages")),
    ("its own cursor", 0, Some("tools/list repeats a cursor: its pages never end")),
    ("an empty cursor", 1, None),
    ("a null cursor", 1, None),
    ("a number as list", 0, Some("tools/list")),
    ("an array as result", 0, Some("tools/list has a malformed result: an object is expected")),
    ("too many", 0, Some("tools/list lists more than 20000 entries")),
    ("plain", 1, None),
];

/// The same for what is large.
const LARGE: [(&str, usize, Option<&str>); 5] = [
    ("100,000 at once", 0, Some("the server's answer is larger than 1000000 bytes")),
    ("20,001 on a page", 0, Some("tools/list lists more than 20000 entries")),
    ("a cursor of 900 kB", 2, None),
    ("an object as cursor", 2, None),
    ("plain", 1, None),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_list_without_an_end_harms_nobody_else() -> Result<()> {
    let servers = harm_nobody_else(&KINDS).await?;
    assert!(servers[1].received_of("tools/list") <= 2 * 201, "it is not asked for ever");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_any_size_harms_nobody_else() -> Result<()> {
    harm_nobody_else(&LARGE).await.map(drop)
}

/// A server of each kind beside an honest one: what is left of each is shown,
/// and why the rest is not.
async fn harm_nobody_else(kinds: &[(&'static str, usize, Option<&str>)]) -> Result<Vec<RawServer>> {
    let mut servers = Vec::new();
    let (mut catalogue, mut selection) = (String::new(), String::new());
    for (number, &(kind, ..)) in kinds.iter().enumerate() {
        let server = RawServer::start(move |call| {
            (call.method == "tools/list")
                .then(|| vec![Step::Write(http("200 OK", "application/json", &answer(kind, call)))])
        })
        .await?;
        writeln!(catalogue, "  s{number}: {{ url: {:?} }}", server.url)?;
        write!(selection, "s{number}: {{}}, ")?;
        servers.push(server);
    }
    let honest = ScriptedServer::start(Script::new("honest", 3)).await?;
    let hub = TestHub::start(&format!(
        "limits: {{ response_bytes: 1000000 }}\nservers:\n{catalogue}  honest: {{ url: {:?} }}\nprofiles:\n  \
         team: {{ auth: none, servers: {{ {selection}honest: {{}} }} }}\n",
        honest.url
    ))
    .await?;
    let started = Instant::now();
    let client = LegacyClient::connect(hub.endpoint("team")).await?;
    let answer = client.request("tools/list", "{}").await?;
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    let result = answer.result_value()?;
    let of = |prefix: &str| {
        let tools = result["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
        tools.iter().filter(|tool| tool["name"].as_str().is_some_and(|name| name.starts_with(prefix))).count()
    };
    for (number, &(kind, count, why)) in kinds.iter().enumerate() {
        assert_eq!(of(&format!("s{number}__")), count, "{kind}");
        let gap = &result["_meta"]["io.trunkline/servers"][format!("s{number}")];
        match why {
            None => assert!(gap.is_null(), "{kind}: {gap}"),
            Some(why) => {
                assert_eq!(gap["state"], "failing", "{kind}: {gap}");
                let detail = gap["detail"].as_str().context("no detail")?;
                assert!(detail.contains(why), "{kind}: {detail}");
            }
        }
    }
    assert_eq!(of("honest__"), 3);
    let called = client.request("tools/call", &call_params("honest__tool_000", r#"{"text":"x"}"#)).await?;
    assert_eq!(called.first_text()?, "honest/tool_000: x");
    Ok(servers)
}

/// Entries that are no tools are left out; two of the same name are one or
/// told apart, never one in place of the other.
#[tokio::test(flavor = "multi_thread")]
async fn entries_that_are_no_tools_are_left_out() -> Result<()> {
    let server = RawServer::start(|call| {
        (call.method == "tools/list").then(|| {
            let body = call.answer_with(&page("entries of any kind", call));
            vec![Step::Write(http("200 OK", "application/json", &body))]
        })
    })
    .await?;
    let hub = TestHub::start(&format!(
        "servers:\n  raw: {{ url: {:?} }}\nprofiles:\n  team: {{ auth: none, servers: {{ raw: {{}} }} }}\n",
        server.url
    ))
    .await?;
    let client = LegacyClient::connect(hub.endpoint("team")).await?;
    let result = client.request("tools/list", "{}").await?.result_value()?;
    let tools = result["tools"].as_array().context("no tools")?;
    assert!(tools.iter().all(|tool| tool["name"].is_string()), "{result}");
    let names: Vec<_> = tools.iter().filter_map(|tool| tool["name"].as_str()).collect();
    assert!(names.contains(&"raw__t"), "{names:?}");
    Ok(())
}

/// However many ask for a list at once, the server is asked once as the hub
/// itself and once for the caller.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_lists_is_one_question() -> Result<()> {
    let server = ScriptedServer::start(Script::new("one", 5)).await?;
    let hub = TestHub::start(&format!(
        "servers:\n  one: {{ url: {:?} }}\nprofiles:\n  team: {{ auth: none, servers: {{ one: {{}} }} }}\n",
        server.url
    ))
    .await?;
    let askers = (0..50).map(|_| async {
        let client = LegacyClient::connect(hub.endpoint("team")).await?;
        for _ in 0..4 {
            assert_eq!(client.request("tools/list", "{}").await?.entries("tools")?.len(), 5);
        }
        anyhow::Ok(())
    });
    futures_util::future::try_join_all(askers).await?;
    assert!(server.received_of("tools/list") <= 2);
    assert!(server.received_of("server/discover") <= 2);
    Ok(())
}

/// A server that says without end that its list changed, and each time lists
/// something else, is asked now and then; its list stays whole.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_changes_without_end_is_not_asked_for_without_end() -> Result<()> {
    let number = std::sync::atomic::AtomicUsize::new(0);
    let server = RawServer::start(move |call| {
        if call.http_method == "GET" {
            let changed = r#"data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;
            let drip = Step::Drip(chunk(format!("{changed}\n\n").as_bytes()), Duration::from_millis(2));
            return Some(vec![Step::Write(chunked_head("text/event-stream")), drip]);
        }
        (call.method == "tools/list").then(|| {
            let number = number.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            let list = json!({ "tools": [tool("tool"), tool(&format!("t{number}"))] });
            vec![Step::Write(http("200 OK", "application/json", &call.answer_with(&list)))]
        })
    })
    .await?;
    let hub = TestHub::start(&format!(
        "servers:\n  raw: {{ url: {:?} }}\nprofiles:\n  team: {{ auth: none, servers: {{ raw: {{}} }} }}\n",
        server.url
    ))
    .await?;
    let client = LegacyClient::connect(hub.endpoint("team")).await?;
    assert_eq!(client.request("tools/list", "{}").await?.entries("tools")?.len(), 2);
    super::stage::until(|| server.received().iter().any(|call| call.http_method == "GET")).await?;
    let before = server.received_of("tools/list");
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(1) {
        let answer = client.request("tools/call", &call_params("raw__tool", "{}")).await?;
        assert_eq!(answer.first_text()?, "ok");
        assert_eq!(client.request("tools/list", "{}").await?.entries("tools")?.len(), 2);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let asked = server.received_of("tools/list") - before;
    // The hub's own list and the caller's.
    assert!(asked <= 2 * 15, "{asked} questions in a second");
    Ok(())
}
