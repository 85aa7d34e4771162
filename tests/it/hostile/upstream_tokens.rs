//! Servers whose authorization server is theirs to name: where the hub lets
//! itself be led, and what goes to whom.

use std::sync::{Arc, Mutex};

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use trunkline_tests::browser::{Browser, Page};
use trunkline_tests::hub::TestHub;
use trunkline_tests::mcp_client::ModernClient;

/// What the hub is given for its code.
const TOKEN: &str = "token-of-the-server";

/// A server that is its own authorization server, and all that reached it.
#[derive(Debug, Clone)]
struct Guarded {
    base: String,
    /// Members that stand in place of those of its metadata.
    lies: Value,
    received: Arc<Mutex<Vec<(String, http::HeaderMap)>>>,
}

impl Guarded {
    async fn start(lies: Value) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let base = format!("http://127.0.0.1:{}", listener.local_addr()?.port());
        let server = Self { base, lies, received: Arc::default() };
        let app = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(server)
    }

    fn received(&self, path: &str) -> Vec<http::HeaderMap> {
        let received = self.received.lock().expect("no test panics with it");
        received.iter().filter(|(at, _)| at == path).map(|(_, headers)| headers.clone()).collect()
    }
}

async fn answer(State(server): State<Guarded>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap_or_default();
    server.received.lock().expect("no test panics with it").push((path.clone(), parts.headers.clone()));
    let base = &server.base;
    let with_lies = |mut value: Value| {
        for (name, member) in server.lies.as_object().into_iter().flatten() {
            if value.get(name).is_some() {
                value[name] = member.clone();
            }
        }
        axum::Json(value).into_response()
    };
    match path.as_str() {
        "/.well-known/oauth-protected-resource/mcp" => {
            with_lies(json!({ "resource": format!("{base}/mcp"), "authorization_servers": [base] }))
        }
        "/.well-known/oauth-authorization-server" => with_lies(json!({
            "issuer": base, "authorization_endpoint": format!("{base}/authorize"),
            "token_endpoint": format!("{base}/token"), "registration_endpoint": format!("{base}/register"),
            "code_challenge_methods_supported": ["S256"],
        })),
        "/register" => (StatusCode::CREATED, axum::Json(json!({ "client_id": "hub" }))).into_response(),
        "/token" => axum::Json(json!({ "access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600 }))
            .into_response(),
        "/mcp" if parts.headers.get("authorization").is_none() => {
            let metadata = format!("{base}/.well-known/oauth-protected-resource/mcp");
            let challenge = format!("Bearer resource_metadata=\"{metadata}\"");
            (StatusCode::UNAUTHORIZED, [("www-authenticate", challenge)]).into_response()
        }
        "/mcp" => speak(&serde_json::from_slice(&body).unwrap_or_default()),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

/// A legacy server with one tool.
fn speak(message: &Value) -> Response {
    let result = match message["method"].as_str() {
        Some("initialize") => json!({
            "protocolVersion": "2025-11-25", "capabilities": { "tools": {} },
            "serverInfo": { "name": "guarded", "version": "1" },
        }),
        Some("tools/list") => json!({ "tools": [{ "name": "tool", "inputSchema": { "type": "object" } }] }),
        Some("tools/call") => json!({ "content": [{ "type": "text", "text": "ok" }] }),
        _ if message["id"].is_null() => return StatusCode::ACCEPTED.into_response(),
        _ => {
            let error = json!({ "code": -32601, "message": "Method not found" });
            return axum::Json(json!({ "jsonrpc": "2.0", "id": message["id"], "error": error }))
                .into_response();
        }
    };
    axum::Json(json!({ "jsonrpc": "2.0", "id": message["id"], "result": result })).into_response()
}

async fn hub_before(server: &Guarded) -> Result<TestHub> {
    let configuration = json!({
        "servers": { "guarded": { "url": format!("{}/mcp", server.base), "auth": { "oauth": { "per": "shared" } } } },
        "profiles": { "team": { "auth": "api_key", "servers": { "guarded": { "prefix": "g" } } } },
    });
    TestHub::start(&configuration.to_string()).await
}

/// An operator opens the link; the browser stops where the authorization server is.
async fn begin(hub: &TestHub, server: &Guarded) -> Result<(Browser, Page)> {
    let link: Value = serde_json::from_str(&hub.cli(&["connection", "connect", "guarded", "--json"]).await?)?;
    let mut browser = Browser::new().stopping_at(&format!("{}/authorize", server.base));
    let page = browser.open(link["url"].as_str().context("no link")?).await?;
    Ok((browser, page))
}

/// The address of the hub's callback for what the browser was sent away with.
fn callback(hub: &TestHub, page: &Page) -> Result<String> {
    let left_for = page.left_for.as_ref().with_context(|| page.body.clone())?;
    let url: url::Url = left_for.parse()?;
    let state = url.query_pairs().find(|(name, _)| name == "state").context("no state")?.1.into_owned();
    Ok(format!("{}/oauth/upstream/callback?code=c&state={state}", hub.base()))
}

#[tokio::test]
async fn metadata_that_leads_inside_or_elsewhere_is_not_followed() -> Result<()> {
    let inside = Guarded::start(json!({})).await?;
    let by_name = inside.base.replace("127.0.0.1", "localhost");
    for lies in [
        json!({ "authorization_servers": ["http://169.254.169.254"] }),
        json!({ "authorization_servers": ["https://[::ffff:10.0.0.1]"] }),
        json!({ "authorization_servers": ["https://0x7f000001/"] }),
        json!({ "authorization_servers": [by_name] }),
        json!({ "authorization_servers": ["file:///etc/passwd"] }),
        json!({ "resource": "https://other.example/mcp" }),
        json!({ "issuer": "https://other.example" }),
        json!({ "token_endpoint": "http://10.0.0.1/token" }),
        json!({ "authorization_endpoint": "javascript:alert(1)" }),
        json!({ "authorization_endpoint": "--x" }),
        json!({ "code_challenge_methods_supported": ["plain"] }),
    ] {
        let server = Guarded::start(lies.clone()).await?;
        let hub = hub_before(&server).await?;
        let (_, page) = begin(&hub, &server).await?;
        assert_eq!(page.status, 502, "{lies}: {}", page.body);
        assert!(page.left_for.is_none() && page.body.contains("Not connected"), "{lies}");
        assert!(server.received("/register").is_empty(), "{lies}: it is told nothing");
    }
    assert!(inside.received.lock().expect("no test panics with it").is_empty(), "nobody inside is asked");
    Ok(())
}

#[tokio::test]
async fn a_callback_counts_in_the_browser_that_began_it_and_once() -> Result<()> {
    let server = Guarded::start(json!({})).await?;
    let hub = hub_before(&server).await?;
    let (mut browser, page) = begin(&hub, &server).await?;
    let address = callback(&hub, &page)?;
    assert_eq!(Browser::new().open(&address).await?.status, 400, "in another browser");
    assert_eq!(browser.open(&address).await?.status, 400, "it is used up");
    assert!(server.received("/token").is_empty(), "no code was redeemed");

    let (mut browser, page) = begin(&hub, &server).await?;
    let done = browser.open(&callback(&hub, &page)?).await?;
    ensure!(done.body.contains("is connected"), "{}", done.body);
    Ok(())
}

#[tokio::test]
async fn nothing_of_the_caller_goes_up_and_nothing_of_the_server_comes_down() -> Result<()> {
    let server = Guarded::start(json!({})).await?;
    let hub = hub_before(&server).await?;
    let (mut browser, page) = begin(&hub, &server).await?;
    browser.open(&callback(&hub, &page)?).await?;
    let key = hub.create_key("team").await?;
    let endpoint = hub.endpoint("team").with_key(&key).with_header("cookie", "trunkline_session=tls_mine");
    let endpoint =
        endpoint.with_header("proxy-authorization", "Basic bWluZQ==").with_header("x-custom", "mine");
    hub.until_listed(&endpoint).await?;
    let client = ModernClient::new(endpoint);
    let answer = client.request("tools/call", r#"{"name":"g__tool","arguments":{}}"#).await?;
    assert_eq!(answer.first_text()?, "ok");
    assert!(!answer.text().contains(TOKEN));

    let requests = server.received("/mcp");
    let expected = format!("Bearer {TOKEN}");
    for headers in requests.iter().filter(|headers| headers.contains_key("authorization")) {
        let credentials: Vec<_> = headers.get_all("authorization").iter().collect();
        assert_eq!(credentials, [expected.as_str()]);
    }
    for headers in &requests {
        let text = format!("{headers:?}");
        for mine in [key.as_str(), "mine", "proxy-authorization", "cookie"] {
            assert!(!text.contains(mine), "{mine} went up: {text}");
        }
    }
    assert!(requests.iter().any(|headers| headers.contains_key("authorization")));
    let shown = hub.cli(&["connection", "list", "--json"]).await?;
    let trail = hub.cli(&["audit", "export"]).await?;
    for place in [shown, trail, hub.output()] {
        assert!(!place.contains(TOKEN), "{place}");
    }
    Ok(())
}
