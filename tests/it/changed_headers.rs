//! A modern server that changes which arguments it wants repeated in headers
//! (2026-07-28, basic/transports/streamable-http).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Result, ensure};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use trunkline_tests::hub::TestHub;
use trunkline_tests::mcp_client::LegacyClient;

/// The server: which header it wants, and how often it was called.
#[derive(Debug, Default)]
struct Script {
    wanted: Mutex<&'static str>,
    calls: AtomicUsize,
    lists: AtomicUsize,
}

impl Script {
    fn wants(&self, header: &'static str) {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = header;
    }

    fn wanted(&self) -> &'static str {
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(State(script): State<Arc<Script>>, headers: HeaderMap, Json(asked): Json<Value>) -> Response {
    let wanted = script.wanted();
    let result = match asked["method"].as_str() {
        Some("server/discover") => json!({
            "resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": { "tools": {} },
            "ttlMs": 0, "cacheScope": "public",
        }),
        Some("tools/list") => {
            script.lists.fetch_add(1, Ordering::Relaxed);
            let place = json!({ "type": "string", "x-mcp-header": wanted });
            let schema = json!({ "type": "object", "properties": { "place": place } });
            let tool = json!({ "name": "visit", "inputSchema": schema });
            json!({ "resultType": "complete", "tools": [tool], "ttlMs": 0, "cacheScope": "public" })
        }
        Some("tools/call") => {
            script.calls.fetch_add(1, Ordering::Relaxed);
            let header = headers.get(format!("mcp-param-{wanted}"));
            if header.is_none_or(|header| header != "rome") {
                let error = json!({ "code": -32020, "message": format!("Mcp-Param-{wanted} is missing") });
                let body = json!({ "jsonrpc": "2.0", "id": asked["id"], "error": error });
                return (StatusCode::BAD_REQUEST, Json(body)).into_response();
            }
            json!({ "resultType": "complete", "content": [{ "type": "text", "text": wanted }] })
        }
        _ => return StatusCode::ACCEPTED.into_response(),
    };
    Json(json!({ "jsonrpc": "2.0", "id": asked["id"], "result": result })).into_response()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_with_the_headers_of_an_old_list_is_made_again_as_listed_now() -> Result<()> {
    let script = Arc::new(Script::default());
    script.wants("town");
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/mcp", listener.local_addr()?);
    let app = Router::new().fallback(answer).with_state(Arc::clone(&script));
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });
    let hub = TestHub::start(&format!(
        "servers:\n  s: {{ url: {url:?}, era: modern }}\nprofiles:\n  p: {{ auth: none, servers: {{ s: {{}} }} }}\n"
    ))
    .await?;
    let client = LegacyClient::connect(hub.endpoint("p")).await?;
    client.request("tools/list", "{}").await?.result()?;
    let visit = r#"{"name":"s__visit","arguments":{"place":"rome"}}"#;
    for header in ["town", "city"] {
        script.wants(header);
        let answer = client.request("tools/call", visit).await?;
        ensure!(answer.first_text()? == header, "{header}: {}", answer.text());
    }
    ensure!(script.calls.load(Ordering::Relaxed) == 3, "one call was refused and made again");
    // A refusal that a new list does not explain is the client's to hear, after one look.
    let lists = script.lists.load(Ordering::Relaxed);
    let paris = r#"{"name":"s__visit","arguments":{"place":"paris"}}"#;
    // Its headers are not the client's: the code for that would mislead it.
    let refused = client.request("tools/call", paris).await?.error()?;
    ensure!(refused.code == -32603 && refused.message.contains("Mcp-Param-city"), "{refused:?}");
    ensure!(script.calls.load(Ordering::Relaxed) == 4, "it was not made again");
    ensure!(script.lists.load(Ordering::Relaxed) == lists + 1);
    serving.abort();
    Ok(())
}
