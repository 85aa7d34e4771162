//! What sessions cost in memory.

use anyhow::{Result, bail};
use http::StatusCode;

use super::Measured;
use crate::load::Connection;
use crate::report::Figures;

/// Opens `sessions` sessions at a hub that has done nothing yet, each on a
/// connection of its own, then the stream of each.
pub(super) async fn measure(sessions: usize, hub: &Measured<'_>, figures: &mut Figures) -> Result<()> {
    let mut connections = Vec::with_capacity(sessions);
    for index in 0..sessions {
        let mut connection = Connection::open(&hub.target, index).await?;
        connection.set_up_session().await?;
        connections.push(connection);
    }
    let with_sessions = hub.process.resident_bytes()?;
    let mut streams = Vec::with_capacity(sessions);
    for connection in &mut connections {
        let stream = connection.open_stream().await?;
        if stream.status() != StatusCode::OK {
            bail!("GET of a session's stream: {}", stream.status());
        }
        streams.push(stream);
    }
    figures.sessions_bytes = Some(with_sessions);
    figures.streams_bytes = Some(hub.process.resident_bytes()?);
    Ok(())
}
