//! Names of tools that look like another one.

use anyhow::{Context as _, Result};
use trunkline_tests::connection::call_params;
use trunkline_tests::hub::TestHub;
use trunkline_tests::mcp_client::LegacyClient;
use trunkline_tests::raw_server::{self, RawServer, Step};
use trunkline_tests::scripted::{Script, ScriptedServer};

use super::stage::{Refusal, Row, Stage, call};

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_almost_a_tools_is_unknown() -> Result<()> {
    let stage = Stage::set().await?;
    let mut names: Vec<String> = [
        "",
        "tool_000",
        "scripted",
        "scripted__",
        "scripted__tool_00",
        "scripted__tool_0000",
        "SCRIPTED__TOOL_000",
        "scripted__tool_000 ",
        " scripted__tool_000",
        "scripted__tool_000\0",
        "scripted__tool_000\n",
        "scripted__tool_000\u{200b}",
        "\u{202e}scripted__tool_000",
        "\u{feff}scripted__tool_000",
        "scr\u{456}pted__tool_000",
        "scripted.tool_000",
        "scripted_tool_000",
        "scripted__scripted__tool_000",
        "scripted/tool_000",
        "../scripted__tool_000",
        "red/scripted__tool_000",
        "scripted__tool_*",
        "*",
        "tools/call",
        "__proto__",
        "scripted__tool_002",
    ]
    .map(str::to_owned)
    .into();
    names.push("a".repeat(10_000));
    names.push("scripted__".to_owned() + &"\u{1f4a3}".repeat(3_000));
    let rows = names.into_iter().map(|name| {
        let unknown = "Unknown tool: …";
        let request = stage.request().body(call_json(&name));
        Row { name, request, refusal: Refusal::Rpc { status: 200, id: "1", code: -32602, message: unknown } }
    });
    stage.refuses(rows.collect()).await
}

/// One reading serves who judges, who routes and who writes it down.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_spelled_with_escapes_is_the_same_name_to_all() -> Result<()> {
    let stage = Stage::set().await?;
    let body = call_json("scripted__tool_001").replace("scripted__tool_001", r"scripted\u005f_t\u006fol_001");
    let body = body.replace("\"method\":\"tools/call\"", r#""m\u0065thod":"tools\/call""#);
    let answer = stage.accepts(&stage.request().body(body)).await?;
    assert_eq!(answer.json()?["result"]["content"][0]["text"], "scripted/tool_001: ");
    let received = stage.server.received();
    let call = received.last().context("nothing was received")?;
    let params: serde_json::Value = serde_json::from_str(&call.body)?;
    assert_eq!((&params["method"], &params["params"]["name"]), (&"tools/call".into(), &"tool_001".into()));
    let id = answer.header("x-request-id").context("no request id")?;
    let trail = stage.hub.cli(&["audit", "export", "--json"]).await?;
    let event = trail.lines().find(|line| line.contains(id)).context("not in the trail")?;
    let event = &serde_json::from_str::<serde_json::Value>(event)?["event"];
    assert_eq!(
        (&event["method"], &event["target"], &event["shown_as"]),
        (&"tools/call".into(), &"tool_001".into(), &"scripted__tool_001".into())
    );
    Ok(())
}

fn call_json(name: &str) -> String {
    call(name, "{}")
}

/// The same name from two servers, and names that only a prefix tells apart,
/// go where the list says.
#[tokio::test(flavor = "multi_thread")]
async fn servers_do_not_take_each_others_names() -> Result<()> {
    let named = |tools: &'static [&'static str]| {
        move |call: &raw_server::RawCall| {
            (call.method == "tools/list").then(|| {
                let tools: Vec<_> = tools.iter().map(|name| raw_server::tool(name)).collect();
                let body = call.answer_with(&serde_json::json!({ "tools": tools }));
                vec![Step::Write(raw_server::http("200 OK", "application/json", &body))]
            })
        }
    };
    // Clients fold case and take `.` and `-` for `_`: to them, names of both servers are the same.
    let first = RawServer::start(named(&["pay", "x.y", "X-Y"])).await?;
    let second = RawServer::start(named(&["first__pay", "First-_Pay"])).await?;
    let third = ScriptedServer::start(Script::new("honest", 1)).await?;
    let hub = TestHub::start(&format!(
        "servers:\n  first: {{ url: {:?} }}\n  second: {{ url: {:?} }}\n  honest: {{ url: {:?} }}\nprofiles:\n  \
         team: {{ auth: none, servers: {{ first: {{}}, second: {{ prefix: \"\" }}, honest: {{}} }} }}\n",
        first.url, second.url, third.url
    ))
    .await?;
    let client = LegacyClient::connect(hub.endpoint("team")).await?;
    let entries = client.request("tools/list", "{}").await?.entries("tools")?;
    let names: Vec<String> = entries
        .iter()
        .map(|entry| {
            let entry: serde_json::Value = serde_json::from_str(entry)?;
            anyhow::Ok(entry["name"].as_str().unwrap_or_default().to_owned())
        })
        .collect::<Result<_>>()?;
    let mut distinct: Vec<_> = names.iter().map(|name| name.to_lowercase().replace('-', "_")).collect();
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), 6, "{names:?}");
    let mut reached = Vec::new();
    for name in &names {
        let before = (first.received_of("tools/call"), second.received_of("tools/call"));
        client.request("tools/call", &call_params(name, "{}")).await?.result()?;
        let after = (first.received_of("tools/call"), second.received_of("tools/call"));
        reached.push(match (after.0 - before.0, after.1 - before.1) {
            (1, 0) => "first",
            (0, 1) => "second",
            _ => "honest",
        });
    }
    assert_eq!(reached, ["first", "first", "first", "second", "second", "honest"], "{names:?}");
    let own = |server: &RawServer| {
        let calls = server.received();
        let names = calls.iter().filter(|call| call.method == "tools/call");
        names.map(|call| call.params["name"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(own(&first), ["pay", "x.y", "X-Y"], "each under its own name");
    assert_eq!(own(&second), ["first__pay", "First-_Pay"], "each under its own name");
    Ok(())
}
