use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::HeaderName;
use tower::ServiceExt as _;

use super::*;

fn gate() -> Gate {
    let config = GateConfig {
        loopback: true,
        public_url: Some("https://hub.example".parse().expect("a URL")),
        hosts: vec!["hub.internal".to_owned(), "other.internal:8443".to_owned()],
        origins: vec!["https://app.example:444".to_owned()],
    };
    Gate::new(&config).expect("good entries")
}

fn judge(uri: &str, headers: &[(HeaderName, &str)]) -> Result<(), GateRefusal> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name, value.parse().expect("a header value"));
    }
    gate().check(&uri.parse().expect("a URI"), &map)
}

fn host(value: &str) -> Result<(), GateRefusal> {
    judge("/mcp/a", &[(header::HOST, value)])
}

fn origin(value: &str) -> Result<(), GateRefusal> {
    judge("/mcp/a", &[(header::HOST, "localhost"), (header::ORIGIN, value)])
}

#[test]
fn the_hubs_own_names_pass() {
    let good = [
        "localhost",
        "LocalHost:7400",
        "127.0.0.1",
        "127.0.0.1:1",
        "[::1]",
        "[::1]:7400",
        "hub.example",
        "Hub.Example:443",
        "hub.example:8080",
        "hub.internal:9",
        "other.internal:8443",
    ];
    for name in good {
        assert_eq!(host(name), Ok(()), "{name}");
    }
}

#[test]
fn foreign_names_are_refused() {
    let foreign = [
        "evil.example",
        "localhost.evil",
        "localhost.",
        "hub.example.",
        "xhub.example",
        "hub.example.evil",
        "127.0.0.1.evil",
        "127.1",
        "0177.0.0.1",
        "2130706433",
        "0.0.0.0",
        "[::]",
        "[::ffff:127.0.0.1]",
        "10.0.0.1",
        "169.254.169.254",
        "a.localhost",
        "other.internal",
        "other.internal:8444",
    ];
    for name in foreign {
        assert_eq!(host(name), Err(GateRefusal::ForeignHost), "{name}");
    }
}

#[test]
fn what_is_no_host_is_refused() {
    let bad = [
        "",
        " ",
        ":7400",
        "localhost:",
        "localhost:x",
        "localhost:+80",
        "localhost:65536",
        "localhost:80:80",
        "user@localhost",
        "user:secret@localhost",
        "localhost@evil.example",
        "localhost/",
        "localhost?",
        "localhost#",
        "localhost\\",
        "localhost,evil.example",
        "localhost evil",
        "[::1",
        "[::1]x",
        "[::1%25lo]",
        "[::1%lo]",
        "::1",
        "%6cocalhost",
        "[localhost]",
    ];
    for name in bad {
        assert_eq!(host(name), Err(GateRefusal::BadHost), "{name:?}");
    }
    let not_ascii =
        HeaderMap::from_iter([(header::HOST, http::HeaderValue::from_bytes(b"local\xe9").expect("a value"))]);
    assert_eq!(gate().check(&Uri::from_static("/"), &not_ascii), Err(GateRefusal::BadHost));
}

#[test]
fn one_host_is_named_once() {
    assert_eq!(judge("/", &[]), Err(GateRefusal::BadHost));
    let twice = [(header::HOST, "localhost"), (header::HOST, "localhost")];
    assert_eq!(judge("/", &twice), Err(GateRefusal::BadHost));
}

#[test]
fn target_and_host_header_must_agree() {
    let local = [(header::HOST, "localhost:7400")];
    assert_eq!(judge("http://localhost:7400/", &local), Ok(()));
    assert_eq!(judge("http://localhost:7400/", &[]), Ok(()), "HTTP/2 has :authority alone");
    assert_eq!(judge("http://evil.example/", &local), Err(GateRefusal::BadHost));
    assert_eq!(judge("http://localhost:7400/", &[(header::HOST, "evil.example")]), Err(GateRefusal::BadHost));
    assert_eq!(judge("http://evil.example/", &[]), Err(GateRefusal::ForeignHost));
    assert_eq!(judge("http://user@localhost:7400/", &[]), Err(GateRefusal::BadHost));
}

#[test]
fn our_own_origins_pass() {
    let good = [
        "https://hub.example",
        "https://hub.example:443",
        "https://app.example:444",
        "http://localhost:6274",
        "http://127.0.0.1",
        "https://[::1]:1",
    ];
    for value in good {
        assert_eq!(origin(value), Ok(()), "{value}");
    }
}

#[test]
fn foreign_origins_are_refused() {
    let foreign = [
        "null",
        "",
        "https://evil.example",
        "http://hub.example",
        "https://hub.example:444",
        "https://app.example",
        "https://hub.example/",
        "https://hub.example.evil",
        "https://localhost.evil",
        "https://user@hub.example",
        "chrome-extension://abcdef",
        "moz-extension://abcdef",
        "file://",
        "localhost",
        "//localhost",
        "HTTPS://hub.example",
        "https://hub.example https://evil.example",
        "ws://localhost",
    ];
    for value in foreign {
        assert_eq!(origin(value), Err(GateRefusal::ForeignOrigin), "{value:?}");
    }
    let twice = [
        (header::HOST, "localhost"),
        (header::ORIGIN, "http://localhost"),
        (header::ORIGIN, "http://localhost"),
    ];
    assert_eq!(judge("/", &twice), Err(GateRefusal::ForeignOrigin));
}

#[test]
fn a_gate_for_any_host_still_judges_the_origin() {
    let gate = gate().for_any_host();
    let judge = |headers: &[(HeaderName, &'static str)]| {
        let headers = headers.iter().cloned();
        let headers = headers.map(|(name, value)| (name, http::HeaderValue::from_static(value)));
        gate.check(&Uri::from_static("/healthz"), &headers.collect())
    };
    for host in ["10.1.2.3:7400", "trunkline-0", "evil.example", "", "a, b"] {
        assert_eq!(judge(&[(header::HOST, host)]), Ok(()), "{host:?}");
    }
    assert_eq!(judge(&[]), Ok(()), "HTTP/1.0 names no host");
    assert_eq!(judge(&[(header::ORIGIN, "https://evil.example")]), Err(GateRefusal::ForeignOrigin));
}

#[test]
fn loopback_names_are_no_names_of_a_public_listener() {
    let config =
        GateConfig { public_url: Some("https://hub.example".parse().expect("a URL")), ..Default::default() };
    let gate = Gate::new(&config).expect("good entries");
    let headers = HeaderMap::from_iter([(header::HOST, http::HeaderValue::from_static("localhost"))]);
    assert_eq!(gate.check(&Uri::from_static("/"), &headers), Err(GateRefusal::ForeignHost));
}

#[test]
fn entries_that_cannot_be_read_are_named() {
    let bad_host = GateConfig { hosts: vec!["https://x".to_owned()], ..Default::default() };
    assert_eq!(Gate::new(&bad_host).err(), Some(GateConfigError::Host("https://x".to_owned())));
    let bad_origin = GateConfig { origins: vec!["null".to_owned()], ..Default::default() };
    assert_eq!(Gate::new(&bad_origin).err(), Some(GateConfigError::Origin("null".to_owned())));
}

#[tokio::test]
async fn a_refused_request_does_not_reach_its_route() {
    let route = get(|| async { panic!("reached") as &'static str });
    let router = Router::new().route("/", route).layer(gate());
    let request = Request::get("/").header("host", "evil.example").body(Body::empty()).expect("a request");
    let response = router.oneshot(request).await.expect("infallible");
    assert_eq!(response.status(), StatusCode::FORBIDDEN);
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
}
