//! The sample server as a client sees it, over pipes in memory.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, DuplexStream, Lines};
use tokio::task::JoinHandle;
use trunkline_model::{ManualClock, Timestamp};

use super::serve;

struct TestClient {
    to_server: DuplexStream,
    from_server: Lines<BufReader<DuplexStream>>,
    server: JoinHandle<std::io::Result<()>>,
}

impl TestClient {
    fn start() -> Self {
        let (to_server, input) = tokio::io::duplex(64 * 1024);
        let (output, from_server) = tokio::io::duplex(64 * 1024);
        let clock = Arc::new(ManualClock::starting_at(Timestamp::from_micros(1_500_000)));
        Self {
            to_server,
            from_server: BufReader::new(from_server).lines(),
            server: tokio::spawn(serve(input, output, clock)),
        }
    }

    async fn initialized() -> Self {
        let mut client = Self::start();
        client.ask(&request(0, "initialize", &json!({ "protocolVersion": "2025-11-25" }))).await;
        client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" })).await;
        client
    }

    async fn send(&mut self, message: &Value) {
        self.send_text(&message.to_string()).await;
    }

    async fn send_text(&mut self, text: &str) {
        self.to_server.write_all(format!("{text}\n").as_bytes()).await.unwrap();
    }

    async fn next(&mut self) -> Value {
        let line = self.from_server.next_line().await.unwrap().expect("the server went away");
        serde_json::from_str(&line).unwrap()
    }

    async fn ask(&mut self, message: &Value) -> Value {
        self.send(message).await;
        self.next().await
    }

    async fn call(&mut self, tool: &str, arguments: &Value) -> Value {
        self.ask(&request(1, "tools/call", &json!({ "name": tool, "arguments": arguments }))).await
    }
}

fn request(id: i64, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

fn modern(id: i64, method: &str, params: &Value) -> Value {
    let mut params = params.clone();
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {}
    });
    request(id, method, &params)
}

#[tokio::test]
async fn initialize_agrees_on_the_version_asked_for() {
    for (asked, agreed) in [
        ("2025-11-25", "2025-11-25"),
        ("2025-06-18", "2025-06-18"),
        ("2025-03-26", "2025-03-26"),
        ("2024-11-05", "2024-11-05"),
        ("2026-07-28", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
    ] {
        let mut client = TestClient::start();
        let answer = client.ask(&request(7, "initialize", &json!({ "protocolVersion": asked }))).await;
        assert_eq!(answer["id"], 7);
        assert_eq!(answer["result"]["protocolVersion"], agreed, "{asked}");
        assert_eq!(answer["result"]["serverInfo"]["name"], "trunkline-sample");
        assert!(answer["result"].get("resultType").is_none(), "a word of the modern era: {answer}");
    }
}

#[tokio::test]
async fn discover_is_a_modern_result() {
    let mut client = TestClient::start();
    let result = client.ask(&modern(1, "server/discover", &json!({}))).await["result"].take();
    assert_eq!(result["resultType"], "complete");
    assert_eq!(result["supportedVersions"], json!(["2026-07-28"]));
    assert!(result["ttlMs"].is_u64());
    assert_eq!(result["cacheScope"], "public");
    assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "trunkline-sample");
}

#[tokio::test]
async fn both_eras_list_the_same_tools() {
    let mut client = TestClient::initialized().await;
    let legacy = client.ask(&request(1, "tools/list", &json!({}))).await["result"].take();
    let modern = client.ask(&modern(2, "tools/list", &json!({}))).await["result"].take();
    assert_eq!(legacy["tools"], modern["tools"]);
    let names: Vec<&str> =
        legacy["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["echo", "add", "now", "slow_count", "fail"]);
    assert!(legacy.get("ttlMs").is_none());
    assert_eq!(modern["cacheScope"], "public");
}

#[tokio::test]
async fn tools_answer() {
    let mut client = TestClient::initialized().await;
    let echo = client.call("echo", &json!({ "text": "häl\"lo\n" })).await;
    assert_eq!(echo["result"]["content"][0]["text"], "häl\"lo\n");
    let add = client.call("add", &json!({ "a": 2, "b": 40 })).await;
    assert_eq!(add["result"]["structuredContent"], json!({ "sum": 42 }));
    assert_eq!(add["result"]["content"][0]["text"], r#"{"sum":42}"#);
    let add = client.call("add", &json!({ "a": 0.5, "b": 1 })).await;
    assert_eq!(add["result"]["structuredContent"], json!({ "sum": 1.5 }));
    let now = client.call("now", &json!({})).await;
    assert_eq!(now["result"]["structuredContent"], json!({ "now": "1970-01-01T00:00:01.500000Z" }));
    let fail = client.call("fail", &json!({ "message": "on purpose" })).await;
    assert_eq!(fail["result"]["isError"], true);
    assert_eq!(fail["result"]["content"][0]["text"], "on purpose");
}

#[tokio::test]
async fn wrong_arguments_are_a_tool_error_and_a_wrong_name_a_protocol_error() {
    let mut client = TestClient::initialized().await;
    for (tool, arguments) in [
        ("echo", json!({})),
        ("add", json!({ "a": "1", "b": 2 })),
        ("add", json!({ "a": 1e308, "b": 1e308 })),
        ("slow_count", json!({ "to": 0 })),
        ("slow_count", json!({ "to": 3, "delay_ms": 60_001 })),
    ] {
        let answer = client.call(tool, &arguments).await;
        assert_eq!(answer["result"]["isError"], true, "{tool} {arguments}");
    }
    assert_eq!(client.call("ech", &json!({})).await["error"]["code"], -32602);
    assert_eq!(client.call("echo", &json!([])).await["error"]["code"], -32602);
}

#[tokio::test]
async fn a_slow_count_reports_progress_and_lets_others_pass() {
    let mut client = TestClient::initialized().await;
    let params = json!({
        "name": "slow_count", "arguments": { "to": 2, "delay_ms": 0 }, "_meta": { "progressToken": "p" }
    });
    let first = client.ask(&request(5, "tools/call", &params)).await;
    assert_eq!(
        first["params"],
        json!({ "progressToken": "p", "progress": 1, "total": 2, "message": "1 of 2" })
    );
    assert_eq!(client.next().await["params"]["progress"], 2);
    let result = client.next().await;
    assert_eq!(
        (&result["id"], &result["result"]["content"][0]["text"]),
        (&json!(5), &json!("Counted to 2."))
    );

    let endless = json!({ "name": "slow_count", "arguments": { "to": 1000, "delay_ms": 60_000 } });
    client.send(&request(6, "tools/call", &endless)).await;
    assert_eq!(client.ask(&request(7, "ping", &json!({}))).await["id"], 7);
}

#[tokio::test]
async fn a_cancelled_count_never_answers() {
    let mut client = TestClient::initialized().await;
    let params = json!({ "name": "slow_count", "arguments": { "to": 1, "delay_ms": 60_000 } });
    client.send(&request(5, "tools/call", &params)).await;
    let cancel =
        json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 5 } });
    client.send(&cancel).await;
    // The id is free again only because the count with it was ended.
    let quick = json!({ "name": "slow_count", "arguments": { "to": 1, "delay_ms": 0 } });
    let answer = client.ask(&request(5, "tools/call", &quick)).await;
    assert_eq!(answer["result"]["content"][0]["text"], "Counted to 1.");
    drop(client.to_server);
    assert_eq!(client.from_server.next_line().await.unwrap(), None);
}

#[tokio::test]
async fn the_server_ends_with_its_input_whatever_still_runs() {
    let mut client = TestClient::initialized().await;
    let endless = json!({ "name": "slow_count", "arguments": { "to": 1000, "delay_ms": 60_000 } });
    client.send(&request(1, "tools/call", &endless)).await;
    client.send(&modern(2, "subscriptions/listen", &json!({ "notifications": {} }))).await;
    client.next().await;
    drop(client.to_server);
    client.server.await.unwrap().unwrap();
}

#[tokio::test]
async fn log_messages_come_only_at_the_level_asked_for() {
    let mut client = TestClient::initialized().await;
    assert!(client.call("fail", &json!({})).await.get("id").is_some());
    client.ask(&request(2, "logging/setLevel", &json!({ "level": "warning" }))).await;
    client.send(&request(3, "tools/call", &json!({ "name": "fail" }))).await;
    let log = client.next().await;
    assert_eq!(log["method"], "notifications/message");
    assert_eq!(log["params"]["level"], "error");
    assert_eq!(client.next().await["id"], 3);
    let wrong = client.ask(&request(4, "logging/setLevel", &json!({ "level": "loud" }))).await;
    assert_eq!(wrong["error"]["code"], -32602);

    // A modern request says for itself what it wants to hear, whatever a session set before.
    let quiet = client.ask(&modern(5, "tools/call", &json!({ "name": "fail" }))).await;
    assert_eq!(quiet["id"], 5);
    let mut loud = modern(6, "tools/call", &json!({ "name": "fail" }));
    loud["params"]["_meta"]["io.modelcontextprotocol/logLevel"] = json!("debug");
    assert_eq!(client.ask(&loud).await["method"], "notifications/message");
}

#[tokio::test]
async fn the_prompt_is_completed_and_read() {
    let mut client = TestClient::initialized().await;
    let complete = |reference: Value, name: &str, value: &str| {
        request(
            1,
            "completion/complete",
            &json!({ "ref": reference, "argument": { "name": name, "value": value } }),
        )
    };
    let prompt = json!({ "type": "ref/prompt", "name": "greet" });
    let answer = client.ask(&complete(prompt.clone(), "name", "a")).await;
    assert_eq!(
        answer["result"]["completion"],
        json!({ "values": ["Ada", "Alan"], "total": 2, "hasMore": false })
    );
    let template = json!({ "type": "ref/resource", "uri": "sample://note/{id}" });
    let answer = client.ask(&complete(template, "id", "")).await;
    assert_eq!(answer["result"]["completion"]["values"], json!(["1", "2", "3"]));
    assert_eq!(client.ask(&complete(prompt, "age", "")).await["error"]["code"], -32602);

    let get = json!({ "name": "greet", "arguments": { "name": "Ada" } });
    let answer = client.ask(&request(2, "prompts/get", &get)).await;
    assert_eq!(answer["result"]["messages"][0]["content"]["text"], "Greet Ada warmly, in one sentence.");
    assert_eq!(
        client.ask(&request(3, "prompts/get", &json!({ "name": "greet" }))).await["error"]["code"],
        -32602
    );
}

#[tokio::test]
async fn resources_are_read_and_a_missing_one_has_the_code_of_its_era() {
    let mut client = TestClient::initialized().await;
    let readme = client.ask(&request(1, "resources/read", &json!({ "uri": "sample://readme" }))).await;
    let text = readme["result"]["contents"][0]["text"].as_str().unwrap();
    let listed = client.ask(&request(2, "resources/list", &json!({}))).await;
    assert_eq!(listed["result"]["resources"][0]["size"], text.len());
    let note = client.ask(&modern(3, "resources/read", &json!({ "uri": "sample://note/2" }))).await;
    assert_eq!(note["result"]["cacheScope"], "public");
    assert!(note["result"]["contents"][0]["text"].is_string());
    let missing = json!({ "uri": "sample://note/4" });
    assert_eq!(client.ask(&request(4, "resources/read", &missing)).await["error"]["code"], -32002);
    assert_eq!(client.ask(&modern(5, "resources/read", &missing)).await["error"]["code"], -32602);
}

#[tokio::test]
async fn each_fault_has_its_code() {
    let mut client = TestClient::start();
    for (text, code) in [
        ("{", -32700),
        ("[]", -32600),
        (r#"{"id":1,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"server/discover"}"#, -32602),
    ] {
        client.send_text(text).await;
        assert_eq!(client.next().await["error"]["code"], code, "{text}");
    }
    for (method, code) in [
        ("initialize", -32601),
        ("ping", -32601),
        ("logging/setLevel", -32601),
        ("resources/subscribe", -32601),
        ("no/such", -32601),
    ] {
        assert_eq!(client.ask(&modern(1, method, &json!({}))).await["error"]["code"], code, "{method}");
    }
    let cursor = client.ask(&modern(2, "tools/list", &json!({ "cursor": "x" }))).await;
    assert_eq!(cursor["error"]["code"], -32602);
    let mut newer = modern(3, "tools/list", &json!({}));
    newer["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2099-01-01");
    let answer = client.ask(&newer).await;
    assert_eq!(answer["error"]["code"], -32022);
    assert_eq!(answer["error"]["data"], json!({ "supported": ["2026-07-28"], "requested": "2099-01-01" }));
    client.send_text(&"x".repeat(2 * 1024 * 1024)).await;
    assert_eq!(client.next().await["error"]["code"], -32600);
}

#[tokio::test]
async fn a_subscription_is_acknowledged_at_once() {
    let mut client = TestClient::start();
    let filter = json!({ "notifications": { "toolsListChanged": true } });
    let first = client.ask(&modern(9, "subscriptions/listen", &filter)).await;
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(first["params"]["notifications"], json!({}));
    assert_eq!(first["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 9);
}
