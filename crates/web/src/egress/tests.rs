use axum::Router;
use axum::body::Body;
use axum::routing::{any, get};
use futures_util::{StreamExt as _, stream};
use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::*;

fn with_provider() {
    let _already = rustls::crypto::aws_lc_rs::default_provider().install_default();
}

fn upstream() -> Egress {
    with_provider();
    Egress::upstream().expect("a client")
}

fn public() -> Egress {
    with_provider();
    Egress::guarded(OutboundPolicy::default()).expect("a client")
}

async fn served(app: Router) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(crate::serve(listener, app, crate::Limits::default(), CancellationToken::new()));
    format!("http://{address}/").parse().expect("a URL")
}

async fn fetch(egress: &Egress, url: &Url) -> Result<Response, EgressError> {
    egress.request(Method::GET, &egress.target(url)?, HeaderMap::new(), None).await
}

#[tokio::test]
async fn method_headers_and_body_go_out_and_the_answer_comes_back() {
    let echo = any(async |method: Method, headers: HeaderMap, body: String| {
        (StatusCode::ACCEPTED, [("x-seen", headers["x-sent"].clone())], format!("{method} {body}"))
    });
    let url = served(Router::new().route("/", echo)).await;
    let headers =
        HeaderMap::from_iter([(http::HeaderName::from_static("x-sent"), "1".parse().expect("a value"))]);
    let body = Some(Bytes::from_static(b"{}"));
    let egress = upstream();
    let target = egress.target(&url).expect("a target");
    let answer = egress.request(Method::POST, &target, headers, body).await.expect("an answer");
    assert_eq!(answer.status(), 202);
    assert_eq!(answer.headers()["x-seen"], "1");
    assert_eq!(answer.bytes(100).await.expect("a body"), "POST {}");
}

#[tokio::test]
async fn neither_redirects_nor_encodings_are_acted_on() {
    let elsewhere =
        get(async || (StatusCode::FOUND, [("location", "/other"), ("content-encoding", "gzip")], "raw"));
    let url = served(Router::new().route("/", elsewhere)).await;
    let answer = fetch(&upstream(), &url).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert_eq!(answer.bytes(100).await.expect("a body"), "raw");
}

#[tokio::test]
async fn a_body_is_read_up_to_its_limit() {
    let pieces =
        get(async || Body::from_stream(stream::iter(["abc", "def", "ghi"].map(Ok::<_, std::io::Error>))));
    let url = served(Router::new().route("/", pieces).route("/whole", get(async || "abcdefghi"))).await;
    let egress = upstream();
    let whole = url.join("/whole").expect("a URL");
    for target in [&url, &whole] {
        assert_eq!(
            fetch(&egress, target).await.expect("an answer").bytes(9).await.expect("a body"),
            "abcdefghi"
        );
        let error = fetch(&egress, target).await.expect("an answer").bytes(8).await.expect_err("too large");
        assert!(matches!(error, EgressError::TooLarge { limit: 8, .. }), "{error}");
    }
    let streamed = fetch(&egress, &url).await.expect("an answer").limited(5).into_stream();
    let last = streamed.collect::<Vec<_>>().await.pop().expect("an item");
    assert!(matches!(last, Err(EgressError::TooLarge { limit: 5, .. })));
}

#[tokio::test]
async fn errors_say_whether_the_request_was_sent_and_show_no_credential() {
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = closed.local_addr().expect("an address");
    let url: Url = format!("http://{address}/secret-path?token=secret-token").parse().expect("a URL");
    drop(closed);
    let error = fetch(&upstream(), &url).await.expect_err("closed");
    assert!(error.provably_not_sent(), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    assert!(error.to_string().starts_with(&format!("http://{address} cannot be reached")), "{error}");

    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url: Url =
        format!("http://{}/?token=secret", silent.local_addr().expect("an address")).parse().expect("a URL");
    tokio::spawn(async move {
        let (mut stream, _) = silent.accept().await.expect("a connection");
        let mut head = [0; 16];
        stream.read_exact(&mut head).await.expect("a head");
    });
    let error = fetch(&upstream(), &url).await.expect_err("no answer");
    assert!(matches!(error, EgressError::NoAnswer { .. }), "{error:?}");
    assert!(!error.provably_not_sent() && !format!("{error:?}").contains("secret"), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_ends_its_tls_handshake_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url: Url = format!("https://{}/", silent.local_addr().expect("an address")).parse().expect("a URL");
    let egress = upstream();
    let asked = tokio::time::Instant::now();
    let answer = tokio::time::timeout(Duration::from_mins(1), fetch(&egress, &url)).await;
    let error = answer.expect("it is given up").expect_err("no connection");
    assert!(error.provably_not_sent() && error.to_string().contains("within 10 s"), "{error:?}");
    assert_eq!(asked.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_an_error() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url: Url = format!("http://{}/", listener.local_addr().expect("an address")).parse().expect("a URL");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut head = [0; 16];
        stream.read_exact(&mut head).await.expect("a head");
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await.expect("sent");
    });
    let error = fetch(&upstream(), &url).await.expect("a head").bytes(100).await.expect_err("broken");
    assert!(matches!(error, EgressError::BrokenAnswer { .. }), "{error:?}");
}

#[tokio::test]
async fn a_public_client_does_not_call_inside() {
    let reached = any(async || panic!("reached") as &'static str);
    let port = served(Router::new().fallback(reached)).await.port().expect("a port");
    let egress = public();
    let hosts = [
        "127.0.0.1",
        "localhost",
        "2130706433",
        "0x7f.1",
        "0177.0.0.1",
        "127.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[2002:7f00:1::]",
        "[64:ff9b::7f00:1]",
        "169.254.169.254",
        "10.0.0.1",
        "0.0.0.0",
        "[::]",
        "%31%32%37.0.0.1",
        "127。0。0。1",
    ];
    for host in hosts {
        let url: Url = format!("http://{host}:{port}/").parse().expect("a URL");
        let error = fetch(&egress, &url).await.expect_err("inside");
        assert!(matches!(error, EgressError::Refused { .. }), "{host}: {error:?}");
    }
}

#[tokio::test]
async fn other_schemes_and_user_information_are_refused() {
    for url in ["file:///etc/passwd", "ftp://example.com/", "http://user:secret@127.0.0.1/", "data:,x"] {
        let error = fetch(&upstream(), &url.parse().expect("a URL")).await.expect_err("refused");
        assert!(matches!(error, EgressError::Refused { .. }), "{error:?}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

/// Serves `app` and counts the connections that are made and those that end.
async fn counted(app: Router) -> (Url, watch::Receiver<(usize, usize)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (counts, seen) = watch::channel((0, 0));
    let counts = std::sync::Arc::new(counts);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counts.send_modify(|(made, _)| *made += 1);
            let service = hyper_util::service::TowerToHyperService::new(app.clone());
            let counts = std::sync::Arc::clone(&counts);
            tokio::spawn(async move {
                let connection = hyper::server::conn::http1::Builder::new()
                    .serve_connection(hyper_util::rt::TokioIo::new(stream), service);
                let _ = connection.await;
                counts.send_modify(|(_, ended)| *ended += 1);
            });
        }
    });
    (format!("http://{address}/").parse().expect("a URL"), seen)
}

fn several_bodies() -> Router {
    let pieces = get(async || Body::from_stream(stream::iter(["abc", "def"].map(Ok::<_, std::io::Error>))));
    let large = get(async || vec![b'x'; 1_000_000]);
    let never = get(async || Body::from_stream(stream::pending::<Result<&str, std::io::Error>>()));
    Router::new()
        .route("/", get(async || "abcdef"))
        .route("/none", get(async || StatusCode::ACCEPTED))
        .route("/pieces", pieces)
        .route("/large", large)
        .route("/never", never)
}

#[tokio::test]
async fn one_connection_serves_requests_that_follow_each_other() {
    let (url, seen) = counted(several_bodies()).await;
    let egress = upstream();
    let _kept = egress.target(&url).expect("a target");
    // More often than a task may go on without giving way.
    for _ in 0..300 {
        let answer = fetch(&egress, &url).await.expect("an answer");
        assert_eq!(answer.bytes(100).await.expect("a body"), "abcdef");
    }
    for (path, length) in [("/none", 0), ("/pieces", 6), ("/large", 1_000_000), ("/", 6)] {
        let answer = fetch(&egress, &url.join(path).expect("a URL")).await.expect("an answer");
        assert_eq!(answer.bytes(2_000_000).await.expect("a body").len(), length, "{path}");
    }
    assert_eq!(*seen.borrow(), (1, 0));
}

#[tokio::test]
async fn requests_at_once_have_a_connection_each() {
    let (url, seen) = counted(several_bodies()).await;
    let egress = upstream();
    let answers = futures_util::future::join_all((0..8).map(|_| fetch(&egress, &url))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(seen.borrow().0, 8);
}

#[tokio::test]
async fn an_answer_that_is_given_up_ends_its_connection() {
    let (url, mut seen) = counted(several_bodies()).await;
    let answer = fetch(&upstream(), &url.join("/never").expect("a URL")).await.expect("a head");
    assert_eq!(*seen.borrow(), (1, 0));
    drop(answer);
    seen.wait_for(|counts| *counts == (1, 1)).await.expect("it ended");
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_loses_no_request() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url: Url = format!("http://{}/", listener.local_addr().expect("an address")).parse().expect("a URL");
    let (closed, mut is_closed) = watch::channel(0);
    tokio::spawn(async move {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut head = [0; 16];
            stream.read_exact(&mut head).await.expect("a head");
            stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await.expect("sent");
            drop(stream);
            closed.send_modify(|closed| *closed += 1);
        }
    });
    let egress = upstream();
    let _kept = egress.target(&url).expect("a target");
    for answered in 1..=2 {
        let answer = fetch(&egress, &url).await.expect("an answer");
        assert_eq!(answer.bytes(100).await.expect("a body"), "ok");
        is_closed.wait_for(|closed| *closed == answered).await.expect("a server");
    }
}

#[tokio::test]
async fn idle_connections_are_closed_after_a_while() {
    let (url, mut seen) = counted(several_bodies()).await;
    let egress = upstream();
    let target = egress.target(&url).expect("a target");
    let answer = egress.request(Method::GET, &target, HeaderMap::new(), None).await.expect("an answer");
    answer.bytes(100).await.expect("a body");
    tokio::task::yield_now().await;
    tokio::time::pause();
    tokio::time::advance(2 * http1::IDLE_TIMEOUT).await;
    tokio::time::resume();
    seen.wait_for(|counts| *counts == (1, 1)).await.expect("it ended");
}
