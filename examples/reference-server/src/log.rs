//! `notifications/message`: log lines for the client.
//!
//! A legacy client sets the level for its session; a modern one with each
//! request, and hears nothing from a request that has none.

use rmcp::RoleServer;
use rmcp::model::{CustomNotification, ServerNotification};
use rmcp::service::RequestContext;
use serde::Serialize;
use serde_json::json;

use crate::era::Era;
use crate::session::Session;

/// Where a modern request carries its level.
const LEVEL_OF_REQUEST: &str = "io.modelcontextprotocol/logLevel";

/// The severities of RFC 5424, least first.
const NAMES: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// A severity, as its place in [`NAMES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Level(usize);

impl Default for Level {
    fn default() -> Self {
        Self::INFO
    }
}

impl Level {
    pub(crate) const INFO: Self = Self(1);

    pub(crate) fn named(name: &str) -> Option<Self> {
        NAMES.iter().position(|known| *known == name).map(Self)
    }

    /// From the library's own type, which is deprecated with the feature.
    pub(crate) fn of(level: impl Serialize) -> Option<Self> {
        Self::named(serde_json::to_value(level).ok()?.as_str()?)
    }

    fn name(self) -> &'static str {
        NAMES[self.0]
    }
}

/// Sends `text` to the client, if it wants lines of this level. Whether it arrived does not matter to the request.
pub(crate) async fn send(context: &RequestContext<RoleServer>, session: &Session, level: Level, text: &str) {
    let wanted = match Era::of(context) {
        Era::Legacy => Some(session.level()),
        Era::Modern => context.meta.get(LEVEL_OF_REQUEST).and_then(Level::of),
    };
    if wanted.is_none_or(|wanted| level < wanted) {
        return;
    }
    let params = json!({ "level": level.name(), "logger": "reference-server", "data": text });
    let notification = CustomNotification::new("notifications/message", Some(params));
    let sent = context.peer.send_notification(ServerNotification::CustomNotification(notification)).await;
    if let Err(error) = sent {
        tracing::debug!(%error, "a log line did not reach the client");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_ordered_by_severity() {
        assert!(Level::named("debug") < Some(Level::INFO));
        assert!(Level::named("emergency") > Level::named("alert"));
        assert_eq!(Level::named("loud"), None);
    }
}
