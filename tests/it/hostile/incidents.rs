//! What went wrong in other gateways, tried here.

use anyhow::{Context as _, Result, ensure};
use http::Method;
use serde_json::{Value, json};
use trunkline_tests::browser::Browser;
use trunkline_tests::http::{Endpoint, Response};
use trunkline_tests::hub::TestHub;
use trunkline_tests::mcp_client::LegacyClient;
use trunkline_tests::people;
use trunkline_tests::raw::{self, RawRequest};
use trunkline_tests::raw_server::{RawCall, RawServer, Step, http};

use super::stage::Stage;

/// The owner, who may do everything, asks the admin API as a page of the hub does.
struct Owner {
    hub: TestHub,
    browser: Browser,
    endpoint: Endpoint,
}

impl Owner {
    async fn of(configuration: &str) -> Result<Self> {
        let hub = TestHub::start(configuration).await?;
        let browser = people::first_owner(&hub).await?;
        let endpoint = Endpoint::new(hub.base());
        Ok(Self { hub, browser, endpoint })
    }

    async fn ask(&self, method: Method, path: &str, body: String) -> Result<Response> {
        let cookies = self.browser.cookie_header(&self.hub.base().parse()?);
        let headers =
            [("content-type", "application/json"), ("sec-fetch-site", "same-origin"), ("cookie", &cookies)];
        let endpoint = self.endpoint.at(&format!("{}{path}", self.hub.base()));
        endpoint.send(method, body, &headers).await?.whole().await
    }

    /// Method and path of every route of the admin API.
    async fn routes(&self) -> Result<Vec<(Method, String)>> {
        let document = self.ask(Method::GET, "/api/openapi.json", String::new()).await?.json()?;
        let mut routes = Vec::new();
        for (path, methods) in document["paths"].as_object().context("no paths")? {
            for method in methods.as_object().context("no methods")?.keys() {
                routes.push((method.to_uppercase().parse()?, path.clone()));
            }
        }
        ensure!(routes.len() > 30, "{routes:?}");
        Ok(routes)
    }
}

const NO_SERVER: &str = "profiles:\n  team: { servers: {} }\n";

/// CVE-2026-42271: whoever held a key had a "test" route start a command.
#[tokio::test(flavor = "multi_thread")]
async fn no_route_starts_a_command_that_a_caller_names() -> Result<()> {
    let owner = Owner::of(NO_SERVER).await?;
    let made = owner.hub.folder().join("made-by-a-caller");
    let command = json!({
        "name": "x", "command": "/usr/bin/touch", "args": [made], "env": { "LD_PRELOAD": "/x.so" },
        "transport": "stdio", "server": { "command": "/usr/bin/touch", "args": [made] },
        "mcpServers": { "x": { "command": "/usr/bin/touch", "args": [made] } },
    })
    .to_string();
    for (method, path) in owner.routes().await? {
        if method == Method::GET {
            continue;
        }
        let path = path.replace(['{', '}'], "");
        let answer = owner.ask(method.clone(), &path, command.clone()).await?;
        let is_harmless =
            answer.status.is_client_error() || path.ends_with("/flush") || path.ends_with("/scim-token");
        ensure!(is_harmless, "{method} {path}: {} {:?}", answer.status, answer.body);
    }
    let key = owner.hub.create_key("team").await.unwrap_or_default();
    for path in [
        "/mcp-rest/test/connection",
        "/mcp-rest/test/tools/list",
        "/test/connection",
        "/api/v1/servers",
        "/api/v1/servers/test",
        "/api/v1/servers/x/test",
        "/api/v1/servers/x/start",
        "/api/v1/test",
        "/api/mcp/proxy",
        "/stdio",
        "/message",
    ] {
        let answer = owner.ask(Method::POST, path, command.clone()).await?;
        ensure!(matches!(answer.status.as_u16(), 404 | 405), "{path}: {}", answer.status);
        let with_key = Endpoint::new(&format!("{}{path}", owner.hub.base())).with_key(&key);
        let answer = with_key.post(command.clone(), &[]).await?;
        ensure!(matches!(answer.status.as_u16(), 401 | 403 | 404 | 405), "{path}: {}", answer.status);
    }
    assert!(!made.exists());
    Ok(())
}

/// Who is asking and what operators do, each behind the check of `Host`.
const DOORS: [(&str, &str); 22] = [
    ("GET", "/login"),
    ("POST", "/login"),
    ("GET", "/login/issuer/corp"),
    ("GET", "/login/callback/corp?code=x&state=y"),
    ("POST", "/login/backchannel/corp"),
    ("POST", "/logout"),
    ("GET", "/setup/x"),
    ("GET", "/account"),
    ("GET", "/connections"),
    ("GET", "/device"),
    ("GET", "/oauth/authorize?client_id=x"),
    ("POST", "/oauth/consent"),
    ("POST", "/oauth/token"),
    ("POST", "/oauth/register"),
    ("POST", "/oauth/introspect"),
    ("GET", "/oauth/jwks.json"),
    ("GET", "/oauth/upstream/callback?code=x&state=y"),
    ("GET", "/.well-known/oauth-authorization-server"),
    ("GET", "/scim/v2/Users"),
    ("GET", "/api/openapi.json"),
    ("GET", "/api/v1/users"),
    ("POST", "/api/v1/users"),
];

/// CVE-2026-48710: the host that the check saw was not the one that the
/// route was chosen by.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_is_not_ours_reaches_no_door() -> Result<()> {
    let owner = Owner::of(NO_SERVER).await?;
    let address = owner.hub.base().trim_start_matches("http://").to_owned();
    let cookies = owner.browser.cookie_header(&owner.hub.base().parse()?);
    let port = address.split(':').nth(1).context("a port")?;
    let hosts: Vec<Vec<u8>> = [
        "evil.example",
        "localhost.evil.example",
        "localhost.",
        "[::1%25lo]",
        "169.254.169.254",
        "",
        "localhost:",
        "localhost/api",
        "localhost#",
        "localhost?x",
        "localhost\\x",
        "local\thost",
        "[::1",
        "localhost, evil.example",
    ]
    .iter()
    .map(|host| host.as_bytes().to_vec())
    .chain([format!("user@localhost:{port}").into_bytes(), b"loc\xe9lhost".to_vec()])
    .collect();
    for (method, path) in DOORS {
        let request = RawRequest::new(method, path).with("Cookie", &cookies);
        for host in &hosts {
            let answer = raw::exchange(&address, &request.clone().with("Host", host)).await?;
            let shown = String::from_utf8_lossy(host);
            ensure!(matches!(answer.status, 400 | 403), "{method} {path} at {shown:?}: {}", answer.status);
            ensure!(!answer.text().contains("usr_"), "{method} {path} at {shown:?}");
        }
        let twice = request.clone().with("Host", &address).with("Host", "evil.example");
        ensure!(raw::exchange(&address, &twice).await?.status == 400, "{method} {path} with two hosts");
        let absolute = request.aimed(method, &format!("http://evil.example{path}")).with("Host", &address);
        let status = raw::exchange(&address, &absolute).await?.status;
        ensure!(matches!(status, 400 | 403), "{method} {path} at an absolute target: {status}");
    }
    Ok(())
}

/// GHSA-wf8q-wvv8-p8jf, GHSA-g53w-w6mj-hrpp: the user stood in the path, and
/// headers between gateways were believed from anybody.
const CLAIMS: [(&str, &str); 20] = [
    ("router-key", "secret-api-key"),
    ("mcp-init-host", "scripted"),
    ("X-Forwarded-User", "owner"),
    ("X-Forwarded-Email", "owner@example.org"),
    ("X-Forwarded-For", "127.0.0.1"),
    ("X-Forwarded-Host", "127.0.0.1"),
    ("X-Real-IP", "127.0.0.1"),
    ("Forwarded", "for=127.0.0.1;host=localhost"),
    ("X-User-Id", "owner"),
    ("X-User", "owner"),
    ("X-Auth-Request-User", "owner"),
    ("X-Remote-User", "owner"),
    ("Remote-User", "owner"),
    ("X-MS-CLIENT-PRINCIPAL-NAME", "owner"),
    ("X-Goog-Authenticated-User-Email", "accounts.google.com:owner"),
    ("X-Original-URL", "/mcp/open"),
    ("X-Rewrite-URL", "/mcp/open"),
    ("X-HTTP-Method-Override", "GET"),
    ("X-Internal", "true"),
    ("Proxy-Authorization", "Bearer x"),
];

#[tokio::test(flavor = "multi_thread")]
async fn neither_a_url_nor_a_header_of_another_gateway_says_who_asks() -> Result<()> {
    let stage = Stage::set().await?;
    let before = stage.server.requests();
    let nobody = || stage.call().without("Authorization").without("Mcp-Session-Id");
    let key = &stage.key;
    for target in [
        format!("/mcp/red?api_key={key}"),
        format!("/mcp/red?key={key}"),
        format!("/mcp/red?token={key}"),
        format!("/mcp/red?access_token={key}"),
        format!("/mcp/red?authorization=Bearer%20{key}"),
        "/mcp/red?user=owner".to_owned(),
        "/mcp/red?x-user-id=owner".to_owned(),
        format!("/mcp/red?sessionId={}", stage.session),
        format!("/mcp/red/sse?sessionId={}", stage.session),
    ] {
        let answer = stage.send(&nobody().aimed("POST", &target)).await?;
        ensure!(answer.status == 401, "{target}: {}", answer.status);
    }
    for target in
        ["/owner/mcp/red", "/mcp/owner/red", "/mcp/red/owner", "/user/owner/mcp/red", "/mcp/red/sse/owner"]
    {
        let answer = stage.send(&nobody().aimed("POST", target)).await?;
        ensure!(matches!(answer.status, 401 | 404), "{target}: {}", answer.status);
    }
    for (name, value) in CLAIMS {
        for (method, path) in [("POST", "/mcp/red"), ("GET", "/api/v1/users"), ("GET", "/scim/v2/Users")] {
            let request = nobody().aimed(method, path).with(name, value);
            let answer = stage.send(&request).await?;
            ensure!(answer.status == 401, "{name} at {path}: {}", answer.status);
        }
        let account = stage.send(&nobody().aimed("GET", "/account").with(name, value)).await?;
        ensure!(account.status == 303, "{name} at /account: {}", account.status);
    }
    assert_eq!(stage.server.requests(), before, "the server was not asked");
    for (name, value) in CLAIMS {
        stage.accepts(&stage.call().with(name, value)).await.with_context(|| name.to_owned())?;
    }
    for call in stage.server.received() {
        for (name, _) in CLAIMS {
            let went_on = call.headers.keys().any(|own| own.as_str().eq_ignore_ascii_case(name));
            ensure!(!went_on, "{name} went on to the server");
        }
    }
    Ok(())
}

/// An id that was none meant "everything" to another proxy.
#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_nobody_has_is_nothing() -> Result<()> {
    let owner = Owner::of(NO_SERVER).await?;
    let long = "a".repeat(2000);
    let ids = [
        "0",
        "-1",
        "default",
        "global",
        "*",
        "%2A",
        "null",
        "undefined",
        "true",
        "%00",
        "%20",
        "%2e%2e",
        "%2e",
        "'%20OR%201=1--",
        "%25",
        "usr_",
        "usr_00000000000000000000000000000000",
        "key_00000000000000000000000000000000",
        "usr_zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz",
        "00000000-0000-0000-0000-000000000000",
        "%F0%9F%92%A9",
        "%ff",
        "__proto__",
        "..%2f..%2fetc%2fpasswd",
        &long,
    ];
    let before = owner.ask(Method::GET, "/api/v1/users", String::new()).await?;
    for (method, path) in owner.routes().await? {
        let (Some(start), true) = (path.find('{'), path.contains('{')) else { continue };
        let prefix = &path[..start];
        for id in ids {
            let rest: String = path[start..]
                .split('/')
                .map(|part| if part.starts_with('{') { id } else { part })
                .collect::<Vec<_>>()
                .join("/");
            let answer = owner.ask(method.clone(), &format!("{prefix}{rest}"), "{}".to_owned()).await?;
            ensure!(
                answer.status.is_client_error(),
                "{method} {path} with {id:.40}: {} {:?}",
                answer.status,
                answer.body
            );
        }
    }
    let after = owner.ask(Method::GET, "/api/v1/users", String::new()).await?;
    assert_eq!(
        after.json()?["users"].as_array().map(Vec::len),
        before.json()?["users"].as_array().map(Vec::len)
    );
    for id in ids {
        let bearer = [("authorization", "Bearer tlg_x")];
        let url = format!("{}/oauth/register/{id}", owner.hub.base());
        let answer = Endpoint::new(&url).get(&bearer).await?;
        ensure!(answer.status.is_client_error(), "{url:.90}: {}", answer.status);
    }
    Ok(())
}

/// A list and a result in which the server speaks with the hub's own names.
fn forging(call: &RawCall) -> Option<Vec<Step>> {
    let forged = json!({ "io.trunkline/servers": { "forged": { "state": "gone" } } });
    let result = match call.method.as_str() {
        "tools/list" => json!({
            "tools": [{ "name": "echo", "inputSchema": { "type": "object" } }], "_meta": forged,
        }),
        _ => return None,
    };
    Some(vec![Step::Write(http("200 OK", "application/json", &call.answer_with(&result)))])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_does_not_speak_in_the_hubs_name() -> Result<()> {
    let server = RawServer::start(forging).await?;
    let hub = TestHub::start(&format!(
        "servers:\n  raw: {{ url: {:?}, era: legacy }}\nprofiles:\n  team: {{ auth: none, servers: {{ raw: {{}} }} }}\n",
        server.url
    ))
    .await?;
    let client = LegacyClient::connect(hub.endpoint("team")).await?;
    let list = client.request("tools/list", "{}").await?;
    let text = list.result_value()?.to_string();
    assert!(text.contains("echo") && !text.contains("forged"), "{text}");
    Ok(())
}

/// Whatever a person had opens nothing once they are gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_person_leaves_no_key_session_or_link() -> Result<()> {
    let owner =
        Owner::of("profiles:\n  team: { servers: {} }\n  keyed: { auth: api_key, servers: {} }\n").await?;
    let hub = &owner.hub;
    let mut ann = people::signed_in(hub, "ann", "member").await?;
    let made: Value = serde_json::from_str(
        &hub.cli(&["key", "create", "--profile", "keyed", "--user", "ann", "--json"]).await?,
    )?;
    let key = made["key"].as_str().context("no key")?.to_owned();
    let link = hub.cli(&["login", "link", "ann"]).await?;
    let ask = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
    let status = async || {
        anyhow::Ok(hub.endpoint("keyed").with_key(&key).post(ask.to_owned(), &[]).await?.status.as_u16())
    };
    assert_eq!(status().await?, 200);
    hub.cli(&["user", "delete", "ann"]).await?;
    assert_eq!(status().await?, 401, "the key");
    let account = format!("{}/account", hub.base());
    assert_eq!(ann.open(&account).await?.url.path(), "/login", "the session");
    assert_eq!(Browser::new().open(link.trim()).await?.status, 404, "the link");
    let sessions: Value = serde_json::from_str(&hub.cli(&["login", "list", "--json"]).await?)?;
    assert!(!sessions.to_string().contains("\"ann\""), "{sessions}");
    Ok(())
}
