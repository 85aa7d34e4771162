//! What is in memory of one connection, and the credential that requests take
//! from it. The way of a call takes no lock and asks no database.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use http::HeaderValue;
use thiserror::Error;
use trunkline_model::{Connection, ConnectionOwner, ConnectionState, ServerName, Timestamp};

use super::challenge::Challenge;
use super::connections::{Connections, Upstream};
use super::refresh::Because;
use super::token::Tokens;

/// How long after its time an access token is still tried while its
/// successor cannot be had: clocks differ.
const GRACE: Duration = Duration::from_mins(5);
/// A token refused so soon after another was is not replaced.
const YOUNG: Duration = Duration::from_secs(20);

/// Why there is no credential to send.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unusable {
    /// Somebody has to consent, or an operator to act.
    #[error("{reason}")]
    NeedsConsent { reason: String },
    /// There is none for this caller, whatever anybody consents to.
    #[error("{reason}")]
    NotForCaller { reason: String },
    /// It cannot be had now; the grant is kept.
    #[error("{reason}")]
    Unavailable { reason: String },
}

/// One connection in memory.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) server: ServerName,
    pub(super) owner: ConnectionOwner,
    pub(super) now: ArcSwap<Snapshot>,
    /// Held by the one who refreshes.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// When the server last answered a request with this credential; microseconds.
    exchanged: AtomicI64,
    /// When a refusal last led to a new token; microseconds.
    mended: AtomicI64,
}

/// A connection as of one moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Snapshot {
    pub(super) connection: Option<Connection>,
    pub(super) tokens: Option<Tokens>,
    pub(super) header: Option<HeaderValue>,
    /// Why nothing is sent although there are tokens.
    pub(super) barred: Option<String>,
    /// It is newer than what is stored.
    pub(super) unsaved: bool,
}

impl Snapshot {
    pub(super) fn version(&self) -> i64 {
        self.connection.as_ref().map_or(0, |connection| connection.version)
    }

    /// Which token it is: the moment it was given.
    pub(super) fn generation(&self) -> i64 {
        self.tokens.as_ref().map_or(0, |tokens| tokens.obtained_at.as_micros())
    }

    pub(super) fn expires_at(&self) -> Option<Timestamp> {
        self.tokens.as_ref()?.expires_at
    }

    pub(super) fn is_expired(&self, now: Timestamp) -> bool {
        self.expires_at().is_some_and(|end| end <= now)
    }

    fn may_still_be_good(&self, now: Timestamp) -> bool {
        self.expires_at().is_none_or(|end| now < end.plus(GRACE))
    }

    pub(super) fn sendable(&self) -> Option<(HeaderValue, i64)> {
        if self.barred.is_some() {
            return None;
        }
        Some((self.header.clone()?, self.generation()))
    }

    /// Why there is nothing to send, in words.
    pub(super) fn why_not(&self) -> Unusable {
        if let Some(reason) = &self.barred {
            return Unusable::NeedsConsent { reason: reason.clone() };
        }
        let Some(connection) = &self.connection else {
            return Unusable::NeedsConsent { reason: "nobody has connected it yet".to_owned() };
        };
        let reason = connection.detail.reason.clone();
        let reason = reason.unwrap_or_else(|| "the connection has ended".to_owned());
        match connection.state {
            ConnectionState::Unreachable => Unusable::Unavailable { reason },
            ConnectionState::Connected
            | ConnectionState::NeedsConsent
            | ConnectionState::Refused
            | ConnectionState::Revoked => Unusable::NeedsConsent { reason },
        }
    }
}

impl Held {
    pub(super) fn new(server: ServerName, owner: ConnectionOwner) -> Self {
        Self {
            server,
            owner,
            now: ArcSwap::default(),
            turn: tokio::sync::Mutex::new(()),
            exchanged: AtomicI64::new(i64::MIN),
            mended: AtomicI64::new(i64::MIN),
        }
    }

    /// Whether a refused token may be replaced at `now`: not when one has just
    /// been, since the next would fare no better.
    pub(super) fn may_mend(&self, now: Timestamp) -> bool {
        let last = self.mended.load(Ordering::Relaxed);
        let snapshot = self.now.load();
        let life = snapshot.tokens.as_ref().and_then(|tokens| {
            let life = tokens.expires_at?.since(tokens.obtained_at);
            Some((now.since(tokens.obtained_at), life))
        });
        // One that lives for seconds may have ended by the clock of the server.
        let old = life.is_some_and(|(age, life)| age >= life / 2);
        let may = old || last == i64::MIN || now.since(Timestamp::from_micros(last)) >= YOUNG;
        if may {
            self.mended.store(now.as_micros(), Ordering::Relaxed);
        }
        may
    }

    /// Whether a token that nobody consents to is worth renewing ahead: that
    /// of a person who no longer calls is not.
    pub(super) fn is_in_use(&self) -> bool {
        let obtained_at = self.now.load().tokens.as_ref().map(|tokens| tokens.obtained_at);
        self.owner.is_of_hub() || self.last_exchange() >= obtained_at
    }

    pub(super) fn last_exchange(&self) -> Option<Timestamp> {
        match self.exchanged.load(Ordering::Relaxed) {
            i64::MIN => None,
            micros => Some(Timestamp::from_micros(micros)),
        }
    }
}

/// The credential of one caller for one server: the only place from which
/// requests take their `Authorization`.
#[derive(Debug, Clone)]
pub struct Credential {
    pub(super) connections: Arc<Connections>,
    pub(super) upstream: Arc<Upstream>,
    pub(super) held: Arc<Held>,
}

impl Credential {
    /// The header, and which token it is of; none when something must be done first.
    pub fn header(&self) -> Option<(HeaderValue, i64)> {
        let now = self.held.now.load();
        if now.is_expired(self.connections.clock.now()) { None } else { now.sendable() }
    }

    /// The header, after what must be done for it: a refresh, or a first token
    /// that needs nobody's consent.
    ///
    /// # Errors
    /// [`Unusable`] says whether a person can help.
    pub async fn obtain(&self) -> Result<(HeaderValue, i64), Unusable> {
        if let Some(header) = self.header() {
            return Ok(header);
        }
        match self.connections.renew(&self.upstream, &self.held, Because::Due).await {
            Ok(()) => {
                let now = self.held.now.load();
                now.sendable().ok_or_else(|| now.why_not())
            }
            Err(Unusable::Unavailable { reason }) => {
                let now = self.held.now.load();
                let good = now.may_still_be_good(self.connections.clock.now());
                now.sendable().filter(|_| good).ok_or(Unusable::Unavailable { reason })
            }
            Err(error) => Err(error),
        }
    }

    /// After HTTP 401 for the header of that `token`: a newer one, if there can be one.
    ///
    /// # Errors
    /// [`Unusable`] says whether a person can help.
    pub async fn after_refusal(
        &self,
        token: i64,
        challenge: Option<&Challenge>,
    ) -> Result<(HeaderValue, i64), Unusable> {
        let said = challenge.and_then(|challenge| challenge.error_description.clone());
        let because = Because::Refused { token, said };
        self.connections.renew(&self.upstream, &self.held, because).await?;
        let now = self.held.now.load();
        now.sendable().ok_or_else(|| now.why_not())
    }

    /// After HTTP 403 with `insufficient_scope`: notes what the next consent must be for.
    pub async fn after_lack_of_scope(&self, challenge: &Challenge) -> Unusable {
        let scopes = challenge.scopes();
        if !self.upstream.needs_person() {
            let lack = super::trouble::lacks_scopes(&scopes);
            let reason = format!("{lack}; an operator has to add them to the server's `scopes`");
            return Unusable::NotForCaller { reason };
        }
        self.connections.want(&self.held, &scopes).await
    }

    /// The server has answered a request with this credential.
    pub fn answered(&self) {
        let now = self.connections.clock.now();
        self.held.exchanged.store(now.as_micros(), Ordering::Relaxed);
    }

    /// Where a person connects; none where nobody can.
    pub fn link(&self) -> Option<String> {
        let by_sign_in = self.upstream.auth.shows_caller_of().is_some() && self.held.owner.user().is_some();
        let somebody_can = self.upstream.needs_person() || by_sign_in;
        somebody_can.then(|| self.connections.presence.connect_url(&self.upstream.name))
    }
}
