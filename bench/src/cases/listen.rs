//! What the streams of modern clients cost: memory while nothing happens, and
//! CPU for each change of a list that reaches one of them.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use http::{Method, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::Measured;
use crate::hub::MODERN_PROFILE;
use crate::load::{Client, Connection, Target, listen};
use crate::report::Figures;
use crate::upstream::modern;

/// Changes in each round.
const CHANGES: usize = 10;
const PATIENCE: Duration = Duration::from_secs(30);

/// Opens `sessions` streams at a hub that has done nothing yet, each on a
/// connection of its own, then changes the list of their server again and
/// again, each time when everybody has heard of the last.
pub(super) async fn measure(
    (sessions, rounds): (usize, usize),
    hub: &Measured<'_>,
    upstream: SocketAddr,
    figures: &mut Figures,
) -> Result<()> {
    let client = Client::Modern { method: "subscriptions/listen", tool: None };
    let paths = vec![format!("/mcp/{MODERN_PROFILE}")];
    let target = Target { paths, key: None, client, ..hub.target.clone() };
    let before = hub.process.resident_bytes()?;
    // A connection that is dropped takes its stream with it.
    let mut open = Vec::with_capacity(sessions);
    for index in 0..sessions {
        let mut connection = Connection::open(&target, index).await?;
        connection.greet(client).await?;
        let response = connection.post_for_stream(listen()).await?;
        if response.status() != StatusCode::OK {
            bail!("subscriptions/listen: {}", response.status());
        }
        let mut stream = response.into_body();
        heard(&mut stream, "acknowledged").await?;
        open.push((connection, stream));
    }
    figures.listen_before_bytes = Some(before);
    figures.listen_bytes = Some(hub.process.resident_bytes()?);
    let paths = vec![modern::CHANGE.to_owned()];
    let changer = Target { address: upstream, paths, key: None, client: Client::Legacy };
    let mut changer = Connection::open(&changer, 0).await?;
    // The first change shows that the server is listened to.
    change(&mut changer, &mut open).await?;
    let changes = CHANGES * rounds;
    let started = hub.process.cpu_seconds()?;
    for _ in 0..changes {
        change(&mut changer, &mut open).await?;
    }
    let spent = hub.process.cpu_seconds()? - started;
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let delivered = (changes * sessions) as f64;
    figures.listen_change_micros = Some(spent * 1e6 / delivered);
    Ok(())
}

async fn change(changer: &mut Connection, open: &mut [(Connection, Incoming)]) -> Result<()> {
    changer.send(Method::PUT, bytes::Bytes::new()).await?;
    for (_, stream) in open {
        heard(stream, "tools/list_changed").await?;
    }
    Ok(())
}

/// Reads a stream up to an event with this word in it.
async fn heard(stream: &mut Incoming, word: &str) -> Result<()> {
    let reading = async {
        loop {
            let frame = stream.frame().await.context("the stream ended")??;
            let Ok(data) = frame.into_data() else { continue };
            if String::from_utf8_lossy(&data).contains(word) {
                return anyhow::Ok(());
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.with_context(|| format!("nothing of {word}"))?
}
