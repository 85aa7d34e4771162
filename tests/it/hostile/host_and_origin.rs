//! A page of a foreign site, or a name that was made to point here, reaches
//! no route of the hub.

use anyhow::Result;
use trunkline_tests::raw::RawRequest;

use super::stage::{Refusal, Row, Stage};

/// Every route of the listener but the probes, and paths that have none.
const ROUTES: [(&str, &str); 18] = [
    ("POST", "/mcp/red"),
    ("GET", "/mcp/red"),
    ("DELETE", "/mcp/red"),
    ("PUT", "/mcp/red"),
    ("GET", "/mcp/red/sse"),
    ("POST", "/mcp/red/sse?sessionId=x"),
    ("POST", "/mcp/open"),
    ("GET", "/.well-known/oauth-protected-resource/mcp/signin"),
    ("GET", "/"),
    ("GET", "/nowhere"),
    ("OPTIONS", "*"),
    // What is nearly a probe is none.
    ("GET", "/healthz/"),
    ("GET", "//healthz"),
    ("GET", "/Readyz"),
    ("GET", "/healthz/../mcp/red"),
    ("GET", "/readyz%2f"),
    ("GET", "/%68ealthz"),
    ("POST", "/mcp/red?/healthz"),
];

/// What an orchestrator asks by an address of its own.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

const FOREIGN_HOST: Refusal = Refusal::Problem { status: 403, title: "Foreign Host" };
const FOREIGN_ORIGIN: Refusal = Refusal::Problem { status: 403, title: "Foreign Origin" };
const BAD_HOST: Refusal = Refusal::Problem { status: 400, title: "Bad Host" };

const FOREIGN_HOSTS: [&str; 13] = [
    "evil.example",
    "localhost.evil.example",
    "localhost.",
    "127.0.0.1.evil.example",
    "evil.example:80",
    "127.1",
    "2130706433",
    "0x7f.1",
    "0177.0.0.1",
    "0.0.0.0",
    "[::]",
    "[::ffff:127.0.0.1]",
    "169.254.169.254",
];

const BAD_HOSTS: [&[u8]; 18] = [
    b"",
    b"localhost:",
    b"localhost:99999",
    b"localhost:+80",
    b"localhost:-1",
    b"localhost:80:80",
    b"localhost, evil.example",
    b"user@localhost",
    b"localhost@evil.example",
    b"localhost/evil",
    b"localhost#evil",
    b"localhost?evil",
    b"localhost\\evil",
    b"local host",
    b"[::1",
    b"[::1%25lo]",
    b"[::1]evil",
    b"loc\xe9lhost",
];

const FOREIGN_ORIGINS: [&[u8]; 17] = [
    b"http://evil.example",
    b"https://evil.example:443",
    b"http://localhost.evil.example",
    b"http://127.0.0.1.evil.example",
    b"http://localhost@evil.example",
    b"http://user@localhost",
    b"http://localhost/",
    b"http://localhost evil",
    b"http://localhost, http://evil.example",
    b"//localhost",
    b"localhost",
    b"",
    b"null",
    b"file://",
    b"chrome-extension://abcdefghijklmnop",
    b"vscode-webview://abc",
    b"http://loc\xe9lhost",
];

fn rows(stage: &Stage, what: &str, refusal: Refusal, change: impl Fn(RawRequest) -> RawRequest) -> Vec<Row> {
    let rows = ROUTES.iter().map(|(method, target)| Row {
        name: format!("{method} {target} with {what}"),
        request: change(stage.call().aimed(method, target)),
        refusal,
    });
    rows.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_host_reaches_no_route() -> Result<()> {
    let stage = Stage::set().await?;
    for own in ["localhost", "LocalHost:1", "127.0.0.1", "[::1]:80"] {
        stage.accepts(&stage.call().set("Host", own)).await?;
    }
    let mut all = Vec::new();
    for host in FOREIGN_HOSTS {
        all.extend(rows(&stage, &format!("Host {host}"), FOREIGN_HOST, |request| request.set("Host", host)));
    }
    stage.refuses(all).await
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_are_answered_under_any_name() -> Result<()> {
    let stage = Stage::set().await?;
    for target in PROBES {
        let probe = || RawRequest::new("GET", target).with("Connection", "close");
        let mut requests: Vec<_> =
            FOREIGN_HOSTS.iter().map(|host| probe().with("Host", *host)).chain([probe()]).collect();
        let mut old = probe();
        old.version = "HTTP/1.0";
        requests.push(old);
        for request in requests {
            let response = stage.send(&request).await?;
            assert_eq!((response.status, response.text().as_str()), (200, "ok\n"), "{request:?}");
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_two_readers_could_take_differently_is_refused() -> Result<()> {
    let stage = Stage::set().await?;
    let mut all = Vec::new();
    for host in BAD_HOSTS {
        let name = format!("Host {:?}", String::from_utf8_lossy(host));
        all.extend(rows(&stage, &name, BAD_HOST, |request| request.set("Host", host)));
    }
    all.extend(rows(&stage, "no Host", BAD_HOST, |request| request.without("Host")));
    for second in ["evil.example", stage.address()] {
        let name = format!("a second Host {second}");
        all.extend(rows(&stage, &name, BAD_HOST, |request| request.with("host", second)));
    }
    all.extend(rows(&stage, "no Host in HTTP/1.0", BAD_HOST, |request| {
        let mut request = request.without("Host");
        request.version = "HTTP/1.0";
        request
    }));
    stage.refuses(all).await
}

/// RFC 9112 section 3.2.2: the target of an absolute-form request is its host.
#[tokio::test(flavor = "multi_thread")]
async fn an_absolute_target_is_judged_like_a_host() -> Result<()> {
    let stage = Stage::set().await?;
    let own = format!("http://{}/mcp/red", stage.address());
    stage.accepts(&stage.call().aimed("POST", &own)).await?;
    let foreign = "http://evil.example/mcp/red";
    let row = |name: &str, request: RawRequest, refusal| Row { name: name.to_owned(), request, refusal };
    let call = || stage.call().aimed("POST", foreign);
    stage
        .refuses(vec![
            row("a foreign target and our Host", call(), BAD_HOST),
            row("a foreign target and its Host", call().set("Host", "evil.example"), FOREIGN_HOST),
            row("a foreign target alone", call().without("Host"), FOREIGN_HOST),
            row(
                "our target and a foreign Host",
                stage.call().aimed("POST", &own).set("Host", "evil.example"),
                BAD_HOST,
            ),
            row(
                "user information",
                stage.call().aimed("POST", "http://localhost@evil.example/mcp/red"),
                BAD_HOST,
            ),
        ])
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_origin_reaches_no_route() -> Result<()> {
    let stage = Stage::set().await?;
    for own in ["http://localhost:5173", "https://localhost", "http://127.0.0.1", "http://[::1]:80"] {
        stage.accepts(&stage.call().with("Origin", own)).await?;
    }
    let mut all = Vec::new();
    for target in PROBES {
        let request = RawRequest::new("GET", target).with("Host", "10.1.2.3").with("Origin", "null");
        all.push(Row { name: format!("{target} with Origin null"), request, refusal: FOREIGN_ORIGIN });
    }
    for origin in FOREIGN_ORIGINS {
        let name = format!("Origin {:?}", String::from_utf8_lossy(origin));
        all.extend(rows(&stage, &name, FOREIGN_ORIGIN, |request| request.with("Origin", origin)));
    }
    all.extend(rows(&stage, "two origins", FOREIGN_ORIGIN, |request| {
        request.with("Origin", "http://localhost").with("Origin", "http://localhost")
    }));
    stage.refuses(all).await
}

/// What the gate refuses is read by no page, and what a page of this machine
/// may call is shared where no cookie counts alone.
#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_shared_with_foreign_origins_and_none_where_cookies_count() -> Result<()> {
    let stage = Stage::set().await?;
    for origin in ["http://localhost:5173", "http://evil.example", "null"] {
        for (method, target) in ROUTES {
            if method == "GET" && target.ends_with("/sse") {
                continue; // opens a stream
            }
            let request =
                stage.call().aimed(method, target).with("Origin", origin).with("Connection", "close");
            let request = if target == "/mcp/red" { request.without("Mcp-Session-Id") } else { request };
            let response = stage.send(&request).await?;
            let shared = response.headers.iter().find(|(name, _)| name.starts_with("access-control-"));
            let may_be = origin == "http://localhost:5173"
                && (target.starts_with("/mcp/") || target.starts_with("/.well-known/"));
            assert!(shared.is_none() || may_be, "{method} {target} from {origin}: {shared:?}");
            let credentials =
                response.headers.iter().any(|(name, _)| name == "access-control-allow-credentials");
            assert!(!credentials, "{method} {target} from {origin}");
        }
    }
    Ok(())
}

/// HTTP/2 without TLS, where the host stands in `:authority`.
#[tokio::test(flavor = "multi_thread")]
async fn http_2_is_judged_alike() -> Result<()> {
    let stage = Stage::set().await?;
    let address: std::net::SocketAddr = stage.address().parse()?;
    // Another test of this process may have installed it.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    #[expect(clippy::disallowed_methods, reason = "a client of the hub, not the hub's own")]
    let client = reqwest::Client::builder()
        .http2_prior_knowledge()
        .no_proxy()
        .resolve("evil.example", address)
        .resolve("localhost", address)
        .build()?;
    let known = stage.server.requests();
    let ask = async |host: &str, origin: Option<&str>| {
        let url = format!("http://{host}:{}/mcp/red", address.port());
        let mut request = client
            .post(url)
            .bearer_auth(&stage.key)
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-session-id", &stage.session)
            .body(super::stage::call("scripted__tool_000", "{}"));
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let response = request.send().await?;
        assert_eq!(response.version(), reqwest::Version::HTTP_2);
        anyhow::Ok(response.status().as_u16())
    };
    assert_eq!(ask("evil.example", None).await?, 403);
    assert_eq!(ask("localhost", Some("http://evil.example")).await?, 403);
    assert_eq!(ask("localhost", Some("null")).await?, 403);
    stage.server.assert_untouched_since(known)?;
    assert_eq!(ask("localhost", None).await?, 200);
    Ok(())
}

/// A session that is open already does not speak for a page or a name either.
#[tokio::test(flavor = "multi_thread")]
async fn an_open_stream_is_no_excuse_for_a_foreign_host() -> Result<()> {
    let stage = Stage::set().await?;
    let doors = stage.doors().await?;
    let body = super::stage::call("scripted__tool_000", "{}");
    let mut rows = Vec::new();
    for (door, request) in &doors.requests {
        let request = request.clone().body(body.clone());
        let mut add = |what: &str, request, refusal| {
            rows.push(Row { name: format!("{what} at {door}"), request, refusal });
        };
        add("a foreign Host", request.clone().set("Host", "localhost.evil.example"), FOREIGN_HOST);
        add("a zone", request.clone().set("Host", "[::1%25lo]"), BAD_HOST);
        add("a foreign Origin", request.clone().with("Origin", "http://evil.example"), FOREIGN_ORIGIN);
        add("no Origin", request.with("Origin", "null"), FOREIGN_ORIGIN);
    }
    stage.refuses(rows).await
}
