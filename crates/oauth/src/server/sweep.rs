//! Forgets what is over.

use std::time::Duration;

use super::AuthorizationServer;

const EVERY: Duration = Duration::from_hours(1);
/// How long after its end something is still known, so that who presents it
/// is told what became of it, and a code that is used twice is noticed.
const KEEP: Duration = Duration::from_hours(24);
/// A client that made itself known and was not used for so long is forgotten.
const UNUSED: Duration = Duration::from_hours(24 * 30);

impl AuthorizationServer {
    pub(super) async fn sweep_for_ever(&self) {
        loop {
            tokio::time::sleep(EVERY).await;
            self.sweep().await;
        }
    }

    async fn sweep(&self) {
        let now = self.clock.now().as_micros();
        let before = |span: Duration| {
            let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
            trunkline_model::Timestamp::from_micros(now.saturating_sub(micros))
        };
        match self.store.sweep_authorization(before(KEEP), before(UNUSED)).await {
            Ok(swept) if swept.clients + swept.other == 0 => {}
            Ok(swept) => tracing::info!(
                clients = swept.clients,
                other = swept.other,
                "forgot OAuth clients and tokens that are over"
            ),
            Err(error) => tracing::warn!(%error, "OAuth clients and tokens that are over are not removed"),
        }
    }
}
