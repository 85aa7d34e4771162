//! Which era and transport is found, and what is said when none is.

use axum::response::IntoResponse as _;
use trunkline_model::{HttpTransport, Secret, ServerAuth};

use super::*;

type Script = fn(&Asked) -> axum::response::Response;

fn sse_only(asked: &Asked) -> axum::response::Response {
    match asked.what() {
        "GET" => events("event: endpoint\ndata: http://evil.example/messages\n\n"),
        _ => status(405),
    }
}

/// A legacy server but for its answer to `server/discover`.
fn discover_or_legacy(
    asked: &Asked,
    discover: impl FnOnce(&Asked) -> axum::response::Response,
) -> axum::response::Response {
    if asked.what() == "server/discover" { discover(asked) } else { legacy(asked, |_| status(405)) }
}

const OLDER_VERSIONS: &str = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32022,"message":"no","data":{"supported":["2025-11-25"]}}}"#;
const BOTH_VERSIONS: &str = r#"{"supportedVersions":["2025-11-25","2026-07-28"],"capabilities":{}}"#;

/// Servers and the era that each of them speaks.
const SERVERS: &[(&str, Script, Era)] = &[
    ("modern", |asked| modern(asked, |_| status(500)), Era::Modern),
    ("everything", |asked| legacy(asked, |_| status(405)), Era::Legacy),
    ("404", |asked| discover_or_legacy(asked, |_| status(404)), Era::Legacy),
    (
        "unknown method",
        |asked| discover_or_legacy(asked, |asked| json_body(200, &error_text(&asked.id(), -32601))),
        Era::Legacy,
    ),
    (
        "a web page",
        |asked| discover_or_legacy(asked, |_| ([("content-type", "text/html")], "<p>").into_response()),
        Era::Legacy,
    ),
    ("older versions", |asked| discover_or_legacy(asked, |_| json_body(400, OLDER_VERSIONS)), Era::Legacy),
    (
        "both, as events",
        |asked| discover_or_legacy(asked, |asked| events(&data(&result_text(&asked.id(), BOTH_VERSIONS)))),
        Era::Modern,
    ),
];

#[tokio::test]
async fn the_era_is_found_with_as_few_questions_as_possible() {
    for (name, script, era) in SERVERS {
        let mut server = Scripted::start(script).await;
        let connection = connected(&server.url).await;
        assert_eq!(connection.greeting().era, *era, "{name}");
        let questions = match era {
            Era::Modern => &["server/discover"][..],
            Era::Legacy => &["server/discover", "initialize", "notifications/initialized"],
        };
        assert_eq!(&server.so_far()[..questions.len()], questions, "{name}");
    }
}

#[tokio::test]
async fn a_server_that_refuses_the_version_it_names_is_asked_once_more() {
    const SAME: &str = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32022,"message":"no","data":{"supported":["2026-07-28"]}}}"#;
    for refusals in [1, 2] {
        let asked_before = std::sync::atomic::AtomicUsize::new(0);
        let mut server = Scripted::start(move |asked| {
            let before = asked_before.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if before < refusals { json_body(400, SAME) } else { modern(asked, |_| status(500)) }
        })
        .await;
        let (link, _) = link_to(&server.url);
        assert_eq!(connect(link).await.is_ok(), refusals == 1);
        assert_eq!(server.so_far(), ["server/discover", "server/discover"]);
    }
}

#[tokio::test]
async fn a_pin_skips_the_probe_and_forbids_the_fallback() {
    let mut server = Scripted::start(|asked| legacy(asked, |_| status(405))).await;
    let (mut link, _) = link_to(&server.url);
    link.era = EraPin::Legacy;
    assert_eq!(connect(link).await.unwrap().greeting().protocol_version, "2025-06-18");
    assert_eq!(server.so_far()[0], "initialize");

    let mut server = Scripted::start(|asked| legacy(asked, |_| status(405))).await;
    let (mut link, _) = link_to(&server.url);
    link.era = EraPin::Modern;
    let error = connect(link).await.unwrap_err();
    assert!(
        matches!(&error, UpstreamError::Handshake { reason, .. } if reason.contains("2026-07-28")),
        "{error}"
    );
    assert_eq!(server.so_far(), ["server/discover"]);

    let mut server = Scripted::start(sse_only).await;
    let (mut link, _) = link_to(&server.url);
    link.endpoint.transport = HttpTransport::StreamableHttp;
    assert!(matches!(connect(link).await, Err(UpstreamError::Handshake { .. })));
    assert_eq!(server.so_far(), ["server/discover", "initialize"]);
}

#[tokio::test]
async fn the_modern_question_has_its_headers_and_the_legacy_session_its_own() {
    let mut server = Scripted::start(|asked| legacy(asked, |_| status(405))).await;
    let (mut link, _) = link_to(&server.url);
    link.endpoint.headers = vec![("X-Team".to_owned(), Secret::new("blue"))];
    link.endpoint.auth = ServerAuth::Bearer(Secret::new("t0ken"));
    let connection = connect(link).await.unwrap();
    let names = |asked: &Asked| {
        let mut names: Vec<_> = asked.headers.keys().map(|name| name.as_str().to_owned()).collect();
        names.retain(|name| !matches!(name.as_str(), "host" | "content-length"));
        names.sort_unstable();
        assert_eq!(
            names.len(),
            asked.headers.len() - 2 + usize::from(asked.body.is_null()),
            "each header once"
        );
        names
    };
    let discover = server.next("server/discover").await;
    let base = ["accept", "authorization", "content-type"];
    assert_eq!(names(&discover), [&base[..], &["mcp-method", "mcp-protocol-version", "x-team"]].concat());
    assert_eq!(discover.headers["mcp-method"], "server/discover");
    assert_eq!(discover.headers["mcp-protocol-version"], "2026-07-28");
    assert_eq!(discover.headers["authorization"], "Bearer t0ken");
    let initialize = server.next("initialize").await;
    assert_eq!(names(&initialize), [&base[..], &["x-team"]].concat());
    let initialized = server.next("notifications/initialized").await;
    assert_eq!(
        names(&initialized),
        [&base[..], &["mcp-protocol-version", "mcp-session-id", "x-team"]].concat()
    );
    assert_eq!(initialized.headers["mcp-session-id"], "session-7");
    assert_eq!(initialized.headers["mcp-protocol-version"], "2025-06-18");
    let stream = server.next("GET").await;
    assert_eq!(stream.headers["accept"], "text/event-stream");
    assert!(!stream.headers.contains_key("content-type"));
    drop(connection);
    assert_eq!(server.next("DELETE").await.headers["mcp-session-id"], "session-7");
}

#[tokio::test]
async fn a_server_that_wants_a_credential_says_which() {
    for code in [401, 403] {
        let server = Scripted::start(move |_| {
            let mut response = status(code);
            let challenge = r#"Bearer resource_metadata="https://auth.example/.well-known/x", scope="read""#;
            response.headers_mut().insert("www-authenticate", challenge.parse().unwrap());
            response
        })
        .await;
        let (link, _) = link_to(&server.url);
        let error = connect(link).await.unwrap_err();
        assert!(
            matches!(&error, UpstreamError::NeedsConsent { reason, .. }
                if reason.contains("scope: read") && reason.contains("auth.example")),
            "{error}"
        );
    }
    let mut server = Scripted::start(|_| status(500)).await;
    let (mut link, _) = link_to(&server.url);
    link.endpoint.auth = ServerAuth::OAuth(Box::default());
    assert!(matches!(connect(link).await, Err(UpstreamError::NeedsConsent { .. })));
    assert!(server.so_far().is_empty(), "nothing is asked before the consent");
}

#[tokio::test]
async fn what_cannot_be_reached_or_is_broken_is_not_taken_for_an_old_server() {
    let mut server = Scripted::start(|_| status(503)).await;
    let (link, _) = link_to(&server.url);
    assert!(matches!(connect(link).await, Err(UpstreamError::Unreachable { .. })));
    assert_eq!(server.so_far(), ["server/discover"]);

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (link, _) = link_to(&format!("http://{closed}/mcp"));
    assert!(matches!(connect(link).await, Err(UpstreamError::Unreachable { .. })));
}

#[tokio::test]
async fn a_redirect_is_refused_and_its_target_named_without_its_path() {
    let mut server = Scripted::start(|_| {
        let mut response = status(307);
        response.headers_mut().insert("location", "http://127.0.0.1:1/steal?token=1".parse().unwrap());
        response
    })
    .await;
    let (link, _) = link_to(&server.url);
    let error = connect(link).await.unwrap_err().to_string();
    assert!(error.contains("redirects to http://127.0.0.1:1 ") && !error.contains("steal"), "{error}");
    assert_eq!(server.so_far().len(), 1);
}

#[tokio::test]
async fn an_endpoint_event_of_another_origin_is_refused() {
    let mut server = Scripted::start(sse_only).await;
    let (link, _) = link_to(&server.url);
    let error = connect(link).await.unwrap_err().to_string();
    assert!(error.contains("another origin, http://evil.example"), "{error}");
    assert_eq!(server.so_far(), ["server/discover", "initialize", "GET"]);
}

#[tokio::test]
async fn a_server_that_speaks_nothing_known_is_told_with_every_answer() {
    let server = Scripted::start(|_| status(404)).await;
    let (link, _) = link_to(&server.url);
    let error = connect(link).await.unwrap_err().to_string();
    assert!(error.contains("initialize: HTTP 404") && error.contains("HTTP+SSE: HTTP 404"), "{error}");
}
