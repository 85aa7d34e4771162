//! Clients that take their time: they cost a connection, nobody else a wait.

use std::time::{Duration, Instant};

use anyhow::Result;
use trunkline_tests::raw::RawConnection;

use super::stage::{Stage, until_async};

/// What a client may take for a request's head, and some seconds for a loaded machine.
const HEAD: Duration = Duration::from_secs(25);

/// Heads that never come to an end, in four ways, are given up after a while;
/// others are served meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_never_ends_is_given_up() -> Result<()> {
    let stage = Stage::set().await?;
    let known = stage.server.requests();
    let mut silent = RawConnection::open(stage.address()).await?;
    let mut begun = RawConnection::open(stage.address()).await?;
    begun.send(b"POST /mcp/red HTTP/1.1\r\nHost: localhost\r\nX-").await?;
    let mut half = RawConnection::open(stage.address()).await?;
    half.send(b"PRI * HTT").await?;
    let mut dripping = RawConnection::open(stage.address()).await?;
    dripping.send(b"POST /mcp/red HTTP/1.1\r\n").await?;
    let started = Instant::now();
    let drip = async {
        let mut tick = tokio::time::interval(Duration::from_millis(500));
        for number in 0.. {
            tick.tick().await;
            if dripping.send(format!("X-{number}: 1\r\n").as_bytes()).await.is_err() {
                break;
            }
            assert!(started.elapsed() < HEAD, "headers may drip for ever");
        }
        anyhow::Ok(())
    };
    let mut idle = vec![&mut silent, &mut begun, &mut half];
    let closed = async {
        for connection in &mut idle {
            let answer = connection.rest().await.unwrap_or_default();
            assert!(
                answer.is_empty() || answer.starts_with(b"HTTP/1.1 408"),
                "{}",
                String::from_utf8_lossy(&answer)
            );
        }
        anyhow::Ok(())
    };
    tokio::try_join!(drip, closed)?;
    assert!(started.elapsed() < HEAD, "{:?}", started.elapsed());
    stage.server.assert_untouched_since(known)?;
    stage.accepts(&stage.call()).await?;
    Ok(())
}

/// A body that stops coming holds its own request alone; closed halfway it is
/// refused, and no part of it was forwarded.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_stops_is_not_forwarded() -> Result<()> {
    let stage = Stage::set().await?;
    let doors = stage.doors().await?;
    let known = stage.server.received_of("tools/call");
    let mut stopped = Vec::new();
    for (_, call) in doors.calls() {
        let whole = call.bytes();
        for missing in [1, 10, call.body.len()] {
            let mut connection = RawConnection::open(stage.address()).await?;
            connection.send(&whole[..whole.len() - missing]).await?;
            stopped.push(connection);
        }
    }
    for _ in 0..20 {
        stage.accepts(&stage.call()).await?;
    }
    assert_eq!(stage.server.received_of("tools/call"), known + 20);
    for connection in &mut stopped {
        connection.half_close().await?;
        let response = connection.response("POST").await?;
        assert_eq!(response.status, 400, "{}", response.text());
        assert_eq!(
            response.json()?["error"]["message"],
            "the body broke off or is malformed",
            "{}",
            response.text()
        );
    }
    assert_eq!(stage.server.received_of("tools/call"), known + 20);
    Ok(())
}

/// Many idle connections and half requests at once delay nobody.
#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_delay_nobody() -> Result<()> {
    const IDLE: usize = 500;
    let stage = Stage::set().await?;
    let whole = stage.call().bytes();
    let mut idle = Vec::new();
    for number in 0..IDLE {
        let mut connection = RawConnection::open(stage.address()).await?;
        connection.send(&whole[..number % whole.len()]).await?;
        idle.push(connection);
    }
    let started = Instant::now();
    for _ in 0..10 {
        stage.accepts(&stage.call()).await?;
    }
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    drop(idle);
    let id = stage.hub.id()?;
    until_async(async || Ok(trunkline_tests::process_facts::descriptors(id)? < 100)).await
}

/// Sessions cost nothing that their number could exhaust.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_sessions_is_served() -> Result<()> {
    const SESSIONS: usize = 300;
    let stage = Stage::set().await?;
    let hello = trunkline_tests::message::request(
        "1",
        "initialize",
        &trunkline_tests::message::initialize_params(trunkline_tests::message::LEGACY, "{}"),
    );
    let known = stage.server.requests();
    let mut connection = RawConnection::open(stage.address()).await?;
    let request = stage.request().without("Mcp-Session-Id").body(hello).bytes();
    connection.send_aside(request.repeat(SESSIONS));
    for _ in 0..SESSIONS {
        assert_eq!(connection.response("POST").await?.status, 200);
    }
    stage.server.assert_untouched_since(known)?;
    stage.accepts(&stage.call()).await?;
    Ok(())
}
