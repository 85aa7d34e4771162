//! New tokens for a connection: ahead of their end, or after a refusal; by one
//! alone, in this process and among all that share the database.
//!
//! What is written before the authorization server is asked says that a
//! refresh is under way, so that after a crash it is known that its answer may
//! be lost. A refresh token that came is stored before it is used.

use std::sync::Arc;
use std::time::Duration;

use trunkline_model::{Connection, ConnectionState, Timestamp};
use trunkline_storage::Saved;

use super::connections::{Connections, Upstream};
use super::held::{Held, Snapshot, Unusable};
use super::sealed::{place_of_tokens, seal_tokens};
use super::token::{self, Granted, Tokens};

/// For how long nobody else refreshes what one has begun to.
const LEASE: Duration = Duration::from_mins(1);
/// How often it is looked whether another process has finished.
const LOOK: Duration = Duration::from_millis(200);
const LOOKS: u32 = 150;

/// Why new tokens are wanted.
#[derive(Debug, Clone)]
pub(super) enum Because {
    /// Their time has come.
    Due,
    /// The server refused this one, in these words.
    Refused { token: i64, said: Option<String> },
}

impl Connections {
    /// Refreshes what is due, and stores what could not be stored before.
    pub async fn refresh_due(self: &Arc<Self>) {
        let now = self.clock.now();
        for held in self.all() {
            let snapshot = held.now.load_full();
            if snapshot.unsaved {
                let _turn = held.turn.lock().await;
                let _ = self.store_again(&held).await;
                continue;
            }
            let Some(upstream) = self.upstream(&held.server) else { continue };
            let has_refresh_token =
                snapshot.tokens.as_ref().is_some_and(|tokens| tokens.refresh_token.is_some());
            let due = snapshot.connection.as_ref().is_some_and(|connection| is_due(connection, now));
            let is_wanted = if upstream.needs_person() { has_refresh_token } else { held.is_in_use() };
            if due && snapshot.barred.is_none() && is_wanted {
                // What it meets is in the connection's state.
                let _ = self.renew(&upstream, &held, Because::Due).await;
            }
        }
    }

    /// New tokens, unless somebody else has brought them meanwhile.
    ///
    /// # Errors
    /// [`Unusable`] says whether a person can help.
    pub(super) async fn renew(
        self: &Arc<Self>,
        upstream: &Arc<Upstream>,
        held: &Held,
        because: Because,
    ) -> Result<(), Unusable> {
        let _turn = held.turn.lock().await;
        let snapshot = held.now.load_full();
        if self.is_settled(&snapshot, &because) {
            return Ok(());
        }
        if snapshot.barred.is_some() {
            return Err(snapshot.why_not());
        }
        if snapshot.unsaved {
            self.store_again(held).await?;
        }
        if !upstream.needs_person() {
            return Box::pin(self.renew_alone(upstream, held, &because)).await;
        }
        let (Some(connection), Some(tokens)) = (&snapshot.connection, &snapshot.tokens) else {
            // Another process may have connected it a moment ago.
            self.look_again(held).await;
            let now = held.now.load_full();
            let is_good = now.sendable().is_some() && !now.is_expired(self.clock.now());
            return if is_good { Ok(()) } else { Err(now.why_not()) };
        };
        if let Because::Refused { said, .. } = &because
            && (tokens.refresh_token.is_none() || !held.may_mend(self.clock.now()))
        {
            return Err(self.refused(held, connection, tokens, said.as_deref()).await);
        }
        if tokens.refresh_token.is_none() {
            let reason = "its access token has expired, and there is no refresh token";
            return Err(self.ended(held, connection, None, reason.to_owned()).await);
        }
        wait_over(connection, self.clock.now())?;
        Box::pin(self.refresh(held)).await
    }

    /// Whether nothing is left to do.
    fn is_settled(&self, snapshot: &Snapshot, because: &Because) -> bool {
        let now = self.clock.now();
        match because {
            Because::Refused { token, .. } => {
                snapshot.generation() != *token && snapshot.sendable().is_some() && !snapshot.is_expired(now)
            }
            Because::Due => {
                snapshot.sendable().is_some()
                    && !snapshot.is_expired(now)
                    && !snapshot.connection.as_ref().is_some_and(|connection| is_due(connection, now))
            }
        }
    }

    /// Asks with the refresh token, once this process alone may.
    async fn refresh(self: &Arc<Self>, held: &Held) -> Result<(), Unusable> {
        let Some((leased, earlier)) = self.lease(held).await? else { return Ok(()) };
        let Some(tokens) = held.now.load_full().tokens.clone() else {
            return Err(held.now.load().why_not());
        };
        let detail = &leased.detail;
        let refresh_token = tokens.refresh_token.as_ref().map_or("", |token| token.expose());
        let proof = match self.proof(&leased.server, &detail.issuer, &detail.client_id).await {
            Ok(proof) => proof,
            Err(reason) => return Err(self.put_off(held, leased, &tokens, reason, None).await),
        };
        let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        if !detail.resource.is_empty() {
            form.push(("resource", detail.resource.as_str()));
        }
        let endpoint = detail.token_endpoint.clone();
        let asked = token::ask(self.transport.as_ref(), &endpoint, &proof, &form, || self.clock.now()).await;
        match asked {
            Ok(granted) => self.took(held, leased, Some(&tokens), granted).await,
            Err(error) => Err(self.not_refreshed(held, leased, &tokens, error, earlier).await),
        }
    }

    /// The right to refresh, and since when an earlier refresh has been without
    /// an answer; none when another process has just done it.
    async fn lease(&self, held: &Held) -> Result<Option<(Connection, Option<Timestamp>)>, Unusable> {
        for _ in 0..LOOKS {
            let found = self.store.connections().find(&held.server, &held.owner).await;
            let Some(row) = found.map_err(|error| no_database(&error))? else {
                self.publish(held, Snapshot::default());
                return Err(held.now.load().why_not());
            };
            if row.version != held.now.load().version() {
                self.adopt(held, row);
                let now = held.now.load();
                return if now.sendable().is_some() { Ok(None) } else { Err(now.why_not()) };
            }
            let now = self.clock.now();
            let earlier = row.detail.refreshing_since;
            let mut begun = row;
            begun.detail.refreshing_since = Some(earlier.unwrap_or(now));
            let leased = self.store.connections().lease(&begun, &self.holder, now.plus(LEASE), now).await;
            if leased.map_err(|error| no_database(&error))? {
                return Ok(Some((begun, earlier)));
            }
            tokio::time::sleep(LOOK).await;
        }
        let reason = "another process has been refreshing the token for too long".to_owned();
        Err(Unusable::Unavailable { reason })
    }

    /// Takes over what a grant gave.
    pub(super) async fn took(
        &self,
        held: &Held,
        connection: Connection,
        before: Option<&Tokens>,
        granted: Granted,
    ) -> Result<(), Unusable> {
        let mut tokens = granted.tokens;
        if tokens.refresh_token.is_none() {
            // Not rotated: the old one goes on (RFC 6749 section 6).
            tokens.refresh_token = before.and_then(|before| before.refresh_token.clone());
        }
        let mut next = connection;
        next.state = ConnectionState::Connected;
        let detail = &mut next.detail;
        detail.scopes = granted.scopes.unwrap_or_else(|| std::mem::take(&mut detail.scopes));
        detail.expires_at = tokens.expires_at;
        detail.refresh_at = self.refresh_at(&tokens);
        detail.refreshed_at = Some(tokens.obtained_at);
        (detail.reason, detail.refreshing_since, detail.retry_at) = (None, None, None);
        detail.failures = 0;
        if !detail.wanted.is_empty() {
            detail.reason = Some(super::trouble::lacks_scopes(&detail.wanted));
            next.state = ConnectionState::NeedsConsent;
        }
        self.store_and_show(held, next, Some(tokens)).await
    }

    /// Stores the next version and makes it what requests use. When the
    /// database does not take it, it is used all the same and stored later:
    /// nothing else holds the new tokens.
    pub(super) async fn store_and_show(
        &self,
        held: &Held,
        mut next: Connection,
        tokens: Option<Tokens>,
    ) -> Result<(), Unusable> {
        let place = place_of_tokens(&next.server, &next.owner);
        next.lease = None;
        next.sealed = match &tokens {
            Some(tokens) => Some(seal_tokens(&self.token_sealer, &place, tokens).map_err(|error| {
                Unusable::Unavailable { reason: format!("the tokens cannot be sealed: {error}") }
            })?),
            None => None,
        };
        match self.store.connections().save(&next, &self.holder).await {
            Ok(Saved::Done) => {
                next.version += 1;
                self.show(held, next, tokens, false);
                Ok(())
            }
            Ok(Saved::Superseded) => {
                self.look_again(held).await;
                let now = held.now.load();
                if now.sendable().is_some() { Ok(()) } else { Err(now.why_not()) }
            }
            Err(error) => {
                tracing::warn!(server = %next.server, %error, "new tokens cannot be stored yet; they are kept in memory");
                self.show(held, next, tokens, true);
                Ok(())
            }
        }
    }

    /// Stores what is in memory alone.
    async fn store_again(&self, held: &Held) -> Result<(), Unusable> {
        let snapshot = held.now.load_full();
        let Some(mut next) = snapshot.connection.clone() else { return Ok(()) };
        match self.store.connections().save(&next, &self.holder).await {
            Ok(Saved::Done) => {
                next.version += 1;
                self.show(held, next, snapshot.tokens.clone(), false);
                Ok(())
            }
            Ok(Saved::Superseded) => {
                self.look_again(held).await;
                Ok(())
            }
            Err(error) => Err(no_database(&error)),
        }
    }

    /// Takes over whatever the database has of a connection now.
    pub(super) async fn look_again(&self, held: &Held) {
        match self.store.connections().find(&held.server, &held.owner).await {
            Ok(Some(row)) => self.adopt(held, row),
            Ok(None) => self.publish(held, Snapshot::default()),
            Err(error) => tracing::warn!(server = %held.server, %error, "a connection cannot be read"),
        }
    }

    /// When a token should be refreshed: after four fifths of its life or a
    /// minute before its end, whichever is first, and a little earlier by chance.
    pub(super) fn refresh_at(&self, tokens: &Tokens) -> Option<Timestamp> {
        let life = tokens.expires_at?.since(tokens.obtained_at);
        let most = life.mul_f64(0.8);
        let most = life
            .checked_sub(Duration::from_mins(1))
            .filter(|most| *most > life / 2)
            .map_or(most, |end| end.min(most));
        Some(tokens.obtained_at.plus(most.saturating_sub(self.random_part(most / 20))))
    }
}

fn is_due(connection: &Connection, now: Timestamp) -> bool {
    let retry = connection.detail.retry_at.is_none_or(|at| at <= now);
    retry && connection.detail.refresh_at.is_some_and(|at| at <= now)
}

/// # Errors
/// A failure was a moment ago.
fn wait_over(connection: &Connection, now: Timestamp) -> Result<(), Unusable> {
    if connection.detail.retry_at.is_none_or(|at| at <= now) {
        return Ok(());
    }
    let reason = connection.detail.reason.clone().unwrap_or_default();
    Err(match connection.state {
        ConnectionState::Refused => Unusable::NeedsConsent { reason },
        _ => Unusable::Unavailable { reason },
    })
}

pub(super) fn no_database(error: &trunkline_storage::StoreError) -> Unusable {
    Unusable::Unavailable { reason: format!("the token cannot be refreshed: {error}") }
}
