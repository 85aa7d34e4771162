//! Extensions of two servers in one profile: those the hub knows, and one it
//! does not.

use serde_json::{Value, json};

use super::*;
use crate::downstream::answer::Answer;
use crate::jsonrpc::Message;
use crate::method::{Request, dispatch, take_notification};
use crate::upstream::Era;

const SKILL: &str =
    r#"{"uri":"skill://g/SKILL.md","frontmatter":{"name":"g"},"resources":[{"uri":"skill://g/SKILL.md"}]}"#;

/// A modern server with a skill, and a tool that has an interface.
async fn server(more: &'static str) -> Scripted {
    Scripted::start(move |asked| match asked.what() {
        "server/discover" => {
            let extensions = format!(r#"{{"io.modelcontextprotocol/skills":{{}}{more}}}"#);
            let capabilities = format!(r#"{{"tools":{{}},"resources":{{}},"extensions":{extensions}}}"#);
            let result = format!(r#"{{"supportedVersions":["2026-07-28"],"capabilities":{capabilities}}}"#);
            scripted::result(asked, &result)
        }
        "tools/list" => scripted::result(
            asked,
            r#"{"tools":[{"name":"chart","_meta":{"ui":{"resourceUri":"ui://chart"}}}]}"#,
        ),
        "skills/list" => scripted::result(asked, &format!(r#"{{"skills":[{SKILL}]}}"#)),
        "skills/get" => scripted::result(asked, &format!(r#"{{"skill":{SKILL}}}"#)),
        what if what.starts_with("notifications/") => scripted::status(202),
        "reports/make" => scripted::result(asked, r#"{"resultType":"complete", "made":1e2}"#),
        _ => scripted::result(asked, "{}"),
    })
    .await
}

async fn ask(bench: &Bench, method: &str, mut params: Value) -> (Value, String) {
    params["_meta"] = json!({ "io.modelcontextprotocol/clientCapabilities": {} });
    let mut request = Request { era: Era::Modern, ..bench.request(&caller(1), method, &params.to_string()) };
    request.param_headers.insert("mcp-name", "=?base64?w6k=?=".parse().unwrap());
    match dispatch(request).await {
        Answer::Message { body, .. } => {
            let text = String::from_utf8(body.joined().to_vec()).unwrap();
            (serde_json::from_str(&text).unwrap(), text)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_method_goes_to_the_server_of_its_extension_as_it_is() {
    let (mut one, mut other) = (server(r#","vendor.example/reports":{"x":1e2}"#).await, server("").await);
    let bench = Bench::new(vec![at_url("one", &one.url), at_url("other", &other.url)]).await;
    ask(&bench, "tools/list", json!({})).await;
    let discovered = ask(&bench, "server/discover", json!({})).await.0;
    let extensions = &discovered["result"]["capabilities"]["extensions"];
    assert_eq!(extensions["vendor.example/reports"], json!({ "x": 100.0 }));
    let (_, text) = ask(&bench, "reports/make", json!({ "name": "one__chart", "x": [1] })).await;
    assert!(text.ends_with(r#""result":{"resultType":"complete", "made":1e2}}"#), "{text}");
    let asked = one.next("reports/make").await;
    assert_eq!(asked.headers["mcp-name"], "=?base64?w6k=?=");
    assert_eq!(
        (&asked.body["params"]["name"], &asked.body["params"]["x"]),
        (&json!("one__chart"), &json!([1]))
    );
    let nobodys =
        ["report/make", "nothing", "ping", "tools/undo", "notifications/x", "sampling/createMessage"];
    for method in nobodys {
        let refused = ask(&bench, method, json!({})).await.0;
        assert_eq!(refused["error"]["code"], -32601, "{method}");
    }
    for server in [&mut one, &mut other] {
        assert!(!server.so_far().iter().any(|asked| nobodys.contains(&asked.as_str())));
    }
}

#[tokio::test]
async fn a_notification_goes_to_the_server_of_its_extension_as_it_is() {
    let (mut one, mut other) = (server(r#","vendor.example/reports":{}"#).await, server("").await);
    let bench = Bench::new(vec![at_url("one", &one.url), at_url("other", &other.url)]).await;
    ask(&bench, "tools/list", json!({})).await;
    let seen = |method: &str| {
        let text = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{{ "x" : 1e2 }}}}"#);
        let message = Message::parse(text.into()).unwrap();
        Request { era: Era::Modern, message, ..bench.request(&caller(1), "ping", "{}") }
    };
    let nobodys = ["notifications/cancelled", "notifications/roots/list_changed", "maps/seen"];
    for method in nobodys {
        take_notification(&seen(method)).await;
    }
    take_notification(&seen("notifications/reports/seen")).await;
    let heard = one.next("notifications/reports/seen").await;
    assert_eq!(heard.body["params"], json!({ "x": 100.0 }));
    for server in [&mut one, &mut other] {
        assert!(!server.so_far().iter().any(|asked| nobodys.contains(&asked.as_str())));
    }
}

#[tokio::test]
async fn what_two_servers_have_leads_to_each_of_them() {
    let (mut one, mut other) = (server("").await, server("").await);
    let bench = Bench::new(vec![at_url("one", &one.url), at_url("other", &other.url)]).await;
    let tools = ask(&bench, "tools/list", json!({})).await.0;
    let ui = |index: usize| tools["result"]["tools"][index]["_meta"]["ui"]["resourceUri"].clone();
    assert_eq!((ui(0), ui(1)), (json!("ui://chart"), json!("trunkline://other/ui://chart")));
    ask(&bench, "resources/read", json!({ "uri": ui(0) })).await;
    assert_eq!(one.next("resources/read").await.body["params"]["uri"], "ui://chart");
    ask(&bench, "resources/read", json!({ "uri": ui(1) })).await;
    assert_eq!(other.next("resources/read").await.body["params"]["uri"], "ui://chart");

    let skills = ask(&bench, "skills/list", json!({})).await.1;
    let qualified = SKILL.replace("skill://", "trunkline://other/skill://");
    assert!(skills.contains(&format!(r#""skills":[{SKILL},{qualified}]"#)), "{skills}");
    let got = ask(&bench, "skills/get", json!({ "uri": "trunkline://other/skill://g/SKILL.md" })).await.1;
    assert!(got.contains(&format!(r#""skill":{qualified}"#)), "{got}");
    assert_eq!(other.next("skills/get").await.body["params"]["uri"], "skill://g/SKILL.md");
    // A file that nobody lists is of the skill's server.
    ask(&bench, "resources/directory/read", json!({ "uri": "skill://g" })).await;
    assert_eq!(one.next("resources/directory/read").await.body["params"]["uri"], "skill://g");
}
