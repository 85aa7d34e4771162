//! What becomes of a connection that does not get what it needs: which grants
//! are over, and which are kept and tried again.

use std::time::Duration;

use trunkline_model::{Connection, ConnectionState, Timestamp};

use super::connections::Connections;
use super::held::{Held, Unusable};
use super::token::{TokenError, Tokens};

/// The first wait after a failure; it doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(5);
const LONGEST_WAIT: Duration = Duration::from_mins(5);

impl Connections {
    /// What an answer without tokens means for the connection.
    pub(super) async fn not_refreshed(
        &self,
        held: &Held,
        mut leased: Connection,
        tokens: &Tokens,
        error: TokenError,
        earlier: Option<Timestamp>,
    ) -> Unusable {
        let now = self.clock.now();
        leased.detail.last_error = Some(error.to_string());
        leased.detail.last_error_at = Some(now);
        match error {
            TokenError::Ended { said } => {
                let (kept, reason) = match earlier {
                    Some(since) => (
                        Some(Tokens { refresh_token: None, ..tokens.clone() }),
                        format!(
                            "the answer to a refresh at {since} was lost, and the grant ended with it ({said})"
                        ),
                    ),
                    None => (None, format!("the authorization server ended the grant ({said})")),
                };
                let kept = kept.filter(|kept| kept.expires_at.is_some_and(|end| now < end));
                self.ended(held, &leased, kept, reason).await
            }
            TokenError::Client { said } => {
                leased.detail.refreshing_since = None;
                self.client_refused(&leased, &said).await;
                let reason =
                    format!("the authorization server does not accept the hub as its client ({said})");
                leased.state = ConnectionState::Refused;
                self.put_off_as(held, leased, tokens, reason, LONGEST_WAIT).await
            }
            TokenError::Refused { said } => {
                leased.detail.refreshing_since = None;
                leased.state = ConnectionState::Refused;
                let reason = format!("the authorization server refuses to refresh the token ({said})");
                self.put_off_as(held, leased, tokens, reason, LONGEST_WAIT).await
            }
            TokenError::Unavailable { reason, retry_after, may_have_acted } => {
                if !may_have_acted {
                    leased.detail.refreshing_since = None;
                }
                self.put_off(held, leased, tokens, reason, retry_after).await
            }
        }
    }

    /// Keeps the grant and tries again later.
    pub(super) async fn put_off(
        &self,
        held: &Held,
        mut connection: Connection,
        tokens: &Tokens,
        reason: String,
        retry_after: Option<Duration>,
    ) -> Unusable {
        connection.state = ConnectionState::Unreachable;
        let exponent = connection.detail.failures.min(10);
        let wait = FIRST_WAIT.saturating_mul(1 << exponent).min(LONGEST_WAIT);
        let wait = wait + self.random_part(wait / 4);
        self.put_off_as(held, connection, tokens, reason, retry_after.map_or(wait, |asked| asked.max(wait)))
            .await
    }

    async fn put_off_as(
        &self,
        held: &Held,
        mut connection: Connection,
        tokens: &Tokens,
        reason: String,
        wait: Duration,
    ) -> Unusable {
        let now = self.clock.now();
        let refused = connection.state == ConnectionState::Refused;
        let detail = &mut connection.detail;
        detail.failures = detail.failures.saturating_add(1);
        detail.retry_at = Some(now.plus(wait));
        detail.reason = Some(reason.clone());
        detail.last_error = Some(reason.clone());
        detail.last_error_at = Some(now);
        tracing::warn!(server = %connection.server, owner = %connection.owner, reason, "a token could not be refreshed");
        // What cannot be stored is known here all the same.
        let _ = self.store_and_show(held, connection, Some(tokens.clone())).await;
        if refused { Unusable::NeedsConsent { reason } } else { Unusable::Unavailable { reason } }
    }

    /// The grant is over. `kept` is what may still be used until its time.
    pub(super) async fn ended(
        &self,
        held: &Held,
        connection: &Connection,
        kept: Option<Tokens>,
        reason: String,
    ) -> Unusable {
        let mut next = connection.clone();
        next.state = ConnectionState::NeedsConsent;
        let detail = &mut next.detail;
        detail.reason = Some(reason.clone());
        (detail.refreshing_since, detail.retry_at, detail.refresh_at) = (None, None, None);
        detail.failures = 0;
        tracing::info!(server = %next.server, owner = %next.owner, reason, "a connection needs consent again");
        let _ = self.store_and_show(held, next, kept).await;
        Unusable::NeedsConsent { reason }
    }

    /// The server does not take a token that should be good: it is kept, and tried again.
    pub(super) async fn refused(
        &self,
        held: &Held,
        connection: &Connection,
        tokens: &Tokens,
        said: Option<&str>,
    ) -> Unusable {
        let said = said.map(|said| format!(" ({})", super::metadata::cut(said))).unwrap_or_default();
        let reason = format!("the server refuses the access token{said}");
        if connection.state != ConnectionState::Refused {
            let mut next = connection.clone();
            next.state = ConnectionState::Refused;
            next.detail.reason = Some(reason.clone());
            next.detail.last_error = Some(reason.clone());
            next.detail.last_error_at = Some(self.clock.now());
            let _ = self.store_and_show(held, next, Some(tokens.clone())).await;
        }
        Unusable::NeedsConsent { reason }
    }

    /// Notes that the server wants a token for further scopes.
    pub(super) async fn want(&self, held: &Held, scopes: &[String]) -> Unusable {
        let _turn = held.turn.lock().await;
        let snapshot = held.now.load_full();
        let reason = lacks_scopes(scopes);
        let Some(connection) = &snapshot.connection else { return Unusable::NeedsConsent { reason } };
        let mut next = connection.clone();
        for scope in scopes {
            if !next.detail.wanted.contains(scope) {
                next.detail.wanted.push(scope.clone());
            }
        }
        if next.detail.wanted != connection.detail.wanted || next.state != ConnectionState::NeedsConsent {
            next.state = ConnectionState::NeedsConsent;
            next.detail.reason = Some(reason.clone());
            let _ = self.store_and_show(held, next, snapshot.tokens.clone()).await;
        }
        Unusable::NeedsConsent { reason }
    }
}

pub(super) fn lacks_scopes(scopes: &[String]) -> String {
    format!("the server wants further scopes: {}", scopes.join(" "))
}
