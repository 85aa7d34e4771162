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
        assert_eq!(
            (&asked.body["params"]["taskId"], &asked.headers["mcp-name"]),
            (&json!("own-1"), &"own-1".parse().unwrap())
        );
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
        let ask =
            |number, id: &str| answer(modern(&bench, number, DECLARED, method, json!({ "taskId": id })));
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
    assert_eq!(
        (&asks["result"]["taskId"], &asks["result"]["status"]),
        (&json!(id), &json!("input_required"))
    );
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
    timeout(PATIENCE, status.closed())
        .await
        .expect("nobody listens any more, and the server's stream stays open");
}

/// A legacy server that says on its stream what it is told by `events`, and
/// keeps another caller's task beside ours.
async fn legacy_server(events: mpsc::UnboundedReceiver<String>) -> Scripted {
    let events = std::sync::Mutex::new(Some(events));
    Scripted::start(move |asked| match asked.what() {
        "initialize" => {
            let capabilities = r#"{"tools":{},"tasks":{"list":{},"requests":{"tools":{"call":{}}}}}"#;
            let greeting = format!(r#"{{"protocolVersion":"2025-11-25","capabilities":{capabilities}}}"#);
            scripted::result(asked, &greeting)
        }
        "GET" => match events.lock().unwrap().take() {
            Some(events) => scripted::open_events(events),
            None => scripted::status(405),
        },
        "tools/call" if asked.body["params"]["name"] == "only" => {
            assert!(asked.body["params"]["task"].is_object(), "it cannot be called otherwise");
            scripted::result(asked, r#"{"task":{"taskId":"hidden","ttl":60000}}"#)
        }
        "tools/call" if asked.body["params"]["task"].is_object() => {
            scripted::result(asked, r#"{"task":{"taskId":"own-1","ttl":60000,"x":1e2}}"#)
        }
        "tools/call" => scripted::result(asked, r#"{"content":[]}"#),
        "tasks/list" => {
            scripted::result(asked, r#"{"tasks":[{"taskId":"own-2"},{"taskId":"own-1","x":1e2}]}"#)
        }
        "tasks/result" if asked.body["params"]["taskId"] == "hidden" => unanswered(),
        "tasks/result" => {
            let members = r#"{"io.modelcontextprotocol/related-task":{"taskId":"own-1"}}"#;
            scripted::result(asked, &format!(r#"{{"content":[],"_meta":{members}}}"#))
        }
        "tools/list" => scripted::result(
            asked,
            r#"{"tools":[{"name":"slow"},{"name":"only","execution":{"taskSupport":"required"}}]}"#,
        ),
        _ => scripted::legacy(asked, |asked| scripted::result(asked, "{}")),
    })
    .await
}

#[tokio::test]
async fn a_legacy_task_is_told_of_to_its_caller_alone() {
    let (events, receiver) = mpsc::unbounded_channel();
    let mut server = legacy_server(receiver).await;
    let bench = Bench::new(vec![at_url("one", &server.url)]).await;
    let subscriber = |number| {
        let session = Some(uuid::Uuid::from_u128(number));
        let subscriber = Arc::new(Subscriber::new(caller(number), session, Vec::new()));
        bench.hub.subscribers.add(&subscriber);
        (subscriber.take_over(), subscriber)
    };
    let ((reader, mine), (others_reader, others)) = (subscriber(1), subscriber(2));
    let call = r#"{"name":"one__slow","task":{"ttl":60000},"_meta":{"progressToken":"p"}}"#;
    let (begun, _) = answer(bench.request(&caller(1), "tools/call", call)).await;
    let id = begun["result"]["task"]["taskId"].as_str().unwrap();
    assert_eq!(begun["result"]["task"], json!({ "taskId": id, "ttl": 60000, "x": 100.0 }));
    let asked = server.next("tools/call").await;
    assert_eq!(asked.body["params"]["task"], json!({ "ttl": 60000 }));

    let say = |method: &str, params: &str| {
        let text = format!(r#"{{"jsonrpc":"2.0","method":"notifications/{method}","params":{params}}}"#);
        events.send(scripted::data(&text)).unwrap();
    };
    say("tasks/status", r#"{"taskId":"own-2","status":"working"}"#);
    say("progress", r#"{"progressToken":999999,"progress":1}"#);
    say("tasks/status", r#"{"taskId":"own-1","status":"working","x":1e2}"#);
    say("progress", &format!(r#"{{"progressToken":{},"progress":2}}"#, asked.id()));
    let heard = async || match timeout(PATIENCE, mine.next(reader)).await.unwrap() {
        Due::Message(message) => serde_json::from_slice::<Value>(&message).unwrap(),
        other => panic!("{other:?}"),
    };
    assert_eq!(heard().await["params"], json!({ "taskId": id, "status": "working", "x": 100.0 }));
    assert_eq!(heard().await["params"], json!({ "progressToken": "p", "progress": 2 }));
    assert!(timeout(Duration::from_millis(50), others.next(others_reader)).await.is_err());

    let (listed, _) = answer(bench.request(&caller(1), "tasks/list", "{}")).await;
    assert_eq!(listed["result"]["tasks"], json!([{ "taskId": id, "x": 100.0 }]));
    let (nothing, _) = answer(bench.request(&caller(2), "tasks/list", "{}")).await;
    assert_eq!(nothing["result"]["tasks"], json!([]));
    let about = json!({ "taskId": id }).to_string();
    let (result, _) = answer(bench.request(&caller(1), "tasks/result", &about)).await;
    let related = &result["result"]["_meta"]["io.modelcontextprotocol/related-task"];
    assert_eq!(related["taskId"], json!(id));
    assert_eq!(server.next("tasks/result").await.body["params"]["taskId"], "own-1");
    let (foreign, _) = answer(bench.request(&caller(2), "tasks/result", &about)).await;
    assert_eq!(foreign["error"]["code"], -32602);
}

#[tokio::test]
async fn a_member_of_the_other_era_makes_no_task() {
    let (_events, receiver) = mpsc::unbounded_channel();
    let mut server = legacy_server(receiver).await;
    let bench = Bench::new(vec![at_url("one", &server.url)]).await;
    let call = json!({ "name": "one__slow", "task": { "ttl": 1 }, "arguments": { "task": 1 } });
    let (result, _) = answer(modern(&bench, 1, DECLARED, "tools/call", call)).await;
    assert_eq!(result["result"], json!({ "resultType": "complete", "content": [] }));
    let asked = server.next("tools/call").await;
    assert_eq!(
        (&asked.body["params"]["task"], &asked.body["params"]["arguments"]["task"]),
        (&Value::Null, &json!(1))
    );
}

#[tokio::test]
async fn a_task_that_its_client_knows_nothing_of_is_cancelled_with_the_call() {
    let (_events, receiver) = mpsc::unbounded_channel();
    let mut server = legacy_server(receiver).await;
    let bench = Bench::new(vec![at_url("one", &server.url)]).await;
    answer(bench.request(&caller(1), "tools/list", "{}")).await;
    let call = modern(&bench, 1, DECLARED, "tools/call", json!({ "name": "one__only" }));
    let calling = tokio::spawn(dispatch(call));
    server.next("tasks/result").await;
    calling.abort();
    assert_eq!(server.next("tasks/cancel").await.body["params"]["taskId"], "hidden");
}
