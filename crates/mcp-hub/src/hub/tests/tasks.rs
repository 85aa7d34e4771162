//! Tasks of both eras, and what each server sees of them.

use serde_json::{Value, json};

use super::*;
use crate::downstream::answer::Answer;
use crate::method::{Listening, Request, dispatch};
use crate::upstream::Era;

const DECLARED: &str = r#"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#;
const FORM: &str = r#"{"inputRequests":{"k":{"method":"elicitation/create","params":{}}}}"#;

/// A modern server whose tool becomes the task `own-1`. What it is told by
/// `status` it says on the stream of whoever listens for the task.
async fn modern_server(status: mpsc::UnboundedReceiver<String>) -> Scripted {
    let status = std::sync::Mutex::new(Some(status));
    Scripted::start(move |asked| match asked.what() {
        "server/discover" => scripted::result(
            asked,
            r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}}"#,
        ),
        "tools/list" => scripted::result(asked, r#"{"tools":[{"name":"slow"}]}"#),
        "tools/call" => scripted::result(
            asked,
            r#"{"resultType":"task","status":"working", "taskId" : "own-1","ttlMs":60000,"x":1e2}"#,
        ),
        "tasks/get" => scripted::result(
            asked,
            &format!(r#"{{"resultType":"complete","taskId":"own-1","status":"input_required",{}"#, &FORM[1..]),
        ),
        "subscriptions/listen" => scripted::open_events(status.lock().unwrap().take().unwrap()),
        _ => scripted::result(asked, r#"{"resultType":"complete"}"#),
    })
    .await
}

fn modern(bench: &Bench, number: u128, declared: &str, method: &str, mut params: Value) -> Request {
    let declared: Value = serde_json::from_str(declared).unwrap();
    params["_meta"] = json!({ "io.modelcontextprotocol/clientCapabilities": declared });
    Request { era: Era::Modern, ..bench.request(&caller(number), method, &params.to_string()) }
}

async fn answer(request: Request) -> (Value, String) {
    match dispatch(request).await {
        Answer::Message { body, .. } => {
            let text = String::from_utf8(body.joined().to_vec()).unwrap();
            (serde_json::from_str(&text).unwrap(), text)
        }
        other => panic!("{other:?}"),
    }
}

async fn begin(bench: &Bench) -> String {
    let call = json!({ "name": "one__slow", "arguments": {} });
    let (result, text) = answer(modern(bench, 1, DECLARED, "tools/call", call)).await;
    let id = result["result"]["taskId"].as_str().unwrap().to_owned();
    let around = r#"{"resultType":"task","status":"working", "taskId" : "#;
    assert!(text.ends_with(&format!(r#"{around}"{id}","ttlMs":60000,"x":1e2}}}}"#)), "{text}");
    id
}

#[tokio::test]
async fn a_task_is_led_to_its_server_under_the_servers_own_id() {
    let (_status, receiver) = mpsc::unbounded_channel();
    let mut server = modern_server(receiver).await;
    let bench = Bench::new(vec![at_url("one", &server.url)]).await;
    let id = begin(&bench).await;
    let declared: Value = serde_json::from_str(DECLARED).unwrap();
    let call = server.next("tools/call").await;
    assert_eq!(call.body["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"], declared);
    for method in ["tasks/update", "tasks/cancel"] {
        let (done, _) = answer(modern(&bench, 1, DECLARED, method, json!({ "taskId": id }))).await;
        assert_eq!(done["result"], json!({ "resultType": "complete" }));
        let asked = server.next(method).await;
        assert_eq!((&asked.body["params"]["taskId"], &asked.headers["mcp-name"]), (&json!("own-1"), &"own-1".parse().unwrap()));
    }
}

#[tokio::test]
async fn an_id_that_is_not_the_callers_reaches_no_server() {
    let (_status, receiver) = mpsc::unbounded_channel();
    let mut server = modern_server(receiver).await;
    let bench = Bench::new(vec![at_url("one", &server.url)]).await;
    let id = begin(&bench).await;
    server.so_far();
    for method in ["tasks/get", "tasks/update", "tasks/cancel"] {
        let ask = |number, id: &str| answer(modern(&bench, number, DECLARED, method, json!({ "taskId": id })));
        let unknown = ask(1, "nothing").await.0;
        assert_eq!(unknown["error"]["code"], -32602);
        for other in [ask(2, &id).await, ask(1, &id[..id.len() - 2]).await, ask(1, "own-1").await] {
            assert_eq!(other.0["error"], unknown["error"]);
        }
        let undeclared = answer(modern(&bench, 1, "{}", method, json!({ "taskId": id }))).await.0;
        assert_eq!(undeclared["error"]["code"], -32021);
        let required: Value = serde_json::from_str(DECLARED).unwrap();
        assert_eq!(undeclared["error"]["data"]["requiredCapabilities"], required);
        // Nor is it of any use in the other era.
        let legacy = bench.request(&caller(1), method, &json!({ "taskId": id }).to_string());
        assert!(answer(legacy).await.0["error"].is_object());
    }
    assert_eq!(server.so_far(), Vec::<String>::new());
}

#[tokio::test]
async fn a_task_asks_for_what_was_declared_and_no_more() {
    let (_status, receiver) = mpsc::unbounded_channel();
    let server = modern_server(receiver).await;
    let bench = Bench::new(vec![at_url("one", &server.url)]).await;
    let id = begin(&bench).await;
    let get = |declared: &str| answer(modern(&bench, 1, declared, "tasks/get", json!({ "taskId": id })));
    let refused = get(DECLARED).await.0;
    assert_eq!(refused["error"]["code"], -32021);
    assert_eq!(refused["error"]["data"]["requiredCapabilities"], json!({ "elicitation": { "form": {} } }));
    let asks = get(r#"{"elicitation":{},"extensions":{"io.modelcontextprotocol/tasks":{}}}"#).await.0;
    assert_eq!((&asks["result"]["taskId"], &asks["result"]["status"]), (&json!(id), &json!("input_required")));
}

#[tokio::test]
async fn who_listens_for_a_task_hears_of_it_under_its_own_id() {
    let (status, receiver) = mpsc::unbounded_channel();
    let mut server = modern_server(receiver).await;
    let bench = Bench::new(vec![at_url("one", &server.url)]).await;
    let id = begin(&bench).await;
    let filter = json!({ "notifications": { "taskIds": [id, "nothing"] } });
    let undeclared = Arc::new(modern(&bench, 1, "{}", "subscriptions/listen", filter.clone()));
    assert_eq!(Listening::begin(&undeclared).unwrap_err().code, -32021);
    let request = Arc::new(modern(&bench, 1, DECLARED, "subscriptions/listen", filter));
    let listening = Listening::begin(&request).unwrap();
    let accepted: Value = serde_json::from_slice(&listening.acknowledgement).unwrap();
    assert_eq!(accepted["params"]["notifications"]["taskIds"], json!([id]));
    let asked = server.next("subscriptions/listen").await;
    assert_eq!(asked.body["params"]["notifications"], json!({ "taskIds": ["own-1"] }));
    let say = |task: &str, more: &str| {
        let params = format!(r#"{{"taskId":"{task}","status":"working"{more}}}"#);
        let text = format!(r#"{{"jsonrpc":"2.0","method":"notifications/tasks","params":{params}}}"#);
        status.send(scripted::data(&text)).unwrap();
    };
    say("own-2", "");
    say("own-1", &format!(",{}", &FORM[1..FORM.len() - 1]));
    say("own-1", "");
    let heard = timeout(PATIENCE, listening.next()).await.unwrap().unwrap();
    let heard: Value = serde_json::from_slice(&heard).unwrap();
    assert_eq!(heard["params"]["taskId"], json!(id), "neither another's task nor what was not offered");
    assert_eq!(heard["params"]["inputRequests"], Value::Null);
    assert_eq!(heard["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 1);
    drop(listening);
    timeout(PATIENCE, status.closed()).await.expect("nobody listens any more, and the server's stream stays open");
}
