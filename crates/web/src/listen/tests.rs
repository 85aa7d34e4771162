use std::time::Duration;

use axum::body::Body;
use axum::routing::get;
use bytes::Bytes;
use futures_util::stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;

use super::*;

struct Listening {
    address: SocketAddr,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

async fn listening(app: Router, limits: Limits) -> Listening {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, app, limits, stop.clone()));
    Listening { address, stop, serving }
}

fn app() -> Router {
    Router::new().route("/peer", get(|peer: Peer| async move { format!("{peer:?}") })).route(
        "/endless",
        get(|| async { Body::from_stream(stream::pending::<Result<Bytes, Infallible>>()) }),
    )
}

fn quick() -> Limits {
    Limits {
        header_read_timeout: Duration::from_millis(50),
        drain: Duration::from_millis(50),
        ..Limits::default()
    }
}

async fn send(address: SocketAddr, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(bytes).await.expect("sent");
    stream
}

/// Everything until the server closes.
async fn read_to_close(mut stream: impl AsyncRead + Unpin) -> String {
    let mut text = Vec::new();
    // A reset is a close too.
    let _closed = stream.read_to_end(&mut text).await;
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_request_is_answered_with_its_peer_known() {
    let server = listening(app(), Limits::default()).await;
    let stream = send(server.address, b"GET /peer HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let peer = stream.local_addr().expect("an address");
    let answer = read_to_close(stream).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains(&format!("Tcp({peer})")), "{answer}");
}

#[tokio::test]
async fn http_2_without_tls_is_understood() {
    let server = listening(app(), Limits::default()).await;
    let mut stream = send(server.address, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.expect("a frame");
    assert_eq!(head[3], 4, "the server's first frame is SETTINGS");
}

#[tokio::test]
async fn who_does_not_send_a_head_is_sent_away() {
    let server = listening(app(), quick()).await;
    for beginning in ["", "P", "PRI * HT", "GET /peer HTTP/1.1\r\nhost: x\r\n"] {
        let stream = send(server.address, beginning.as_bytes()).await;
        let answer = tokio::time::timeout(Duration::from_secs(5), read_to_close(stream)).await;
        assert!(answer.is_ok(), "{beginning:?} was left open");
    }
}

#[tokio::test]
async fn too_many_or_too_long_headers_are_refused() {
    let server = listening(app(), Limits { max_headers: 3, ..Limits::default() }).await;
    let long = format!("GET /peer HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n", "a".repeat(70_000));
    let many = "GET /peer HTTP/1.1\r\nhost: x\r\na: b\r\nc: d\r\ne: f\r\n\r\n".to_owned();
    for request in [long, many] {
        let answer = read_to_close(send(server.address, request.as_bytes()).await).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
}

#[tokio::test]
async fn a_client_beyond_the_limit_waits_for_a_place() {
    let server = listening(app(), Limits { max_connections: 1, ..Limits::default() }).await;
    let first = send(server.address, b"").await;
    let second = send(server.address, b"GET /peer HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    let second = tokio::spawn(read_to_close(second));
    tokio::task::yield_now().await;
    assert!(!second.is_finished());
    drop(first);
    let answer = second.await.expect("no panic");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn stopping_closes_idle_connections_at_once_and_endless_ones_at_the_deadline() {
    let server = listening(app(), Limits { drain: Duration::from_millis(50), ..Limits::default() }).await;
    let mut endless = send(server.address, b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let mut head = [0; 12];
    endless.read_exact(&mut head).await.expect("a head");
    server.stop.cancel();
    server.serving.await.expect("no panic");
    read_to_close(endless).await;
    assert!(TcpStream::connect(server.address).await.is_err(), "the port is closed");
}

#[tokio::test]
async fn a_unix_socket_serves_the_same() {
    let path = std::env::temp_dir().join(format!("trunkline-listen-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path).expect("a socket");
    let stop = CancellationToken::new();
    let serving = tokio::spawn(serve_unix(listener, app(), Limits::default(), stop.clone()));
    let mut stream = UnixStream::connect(&path).await.expect("a connection");
    std::fs::remove_file(&path).expect("removed");
    stream.write_all(b"GET /peer HTTP/1.0\r\nhost: localhost\r\n\r\n").await.expect("sent");
    let answer = read_to_close(stream).await;
    assert!(answer.ends_with("Local"), "{answer}");
    stop.cancel();
    serving.await.expect("no panic");
}
