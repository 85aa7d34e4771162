//! Sign-in through an identity provider (OpenID Connect Core 1.0): this hub
//! is the relying party, by authorization code with PKCE.
//!
//! - [`Issuer`] is one provider: what the operator configured, what it says
//!   of itself, and its keys, both fetched when needed.
//! - `begin` sends a browser there, `callback` takes it back.
//! - `backchannel` hears of sign-outs.
//! - `kept` is what servers are shown of a sign-in, and `renewal` keeps it new.

pub(super) mod backchannel;
pub(super) mod begin;
pub(super) mod callback;
mod claims;
mod exchange;
mod id_token;
pub(super) mod kept;
mod metadata;
mod person;
mod renewal;
mod settings;
mod transaction;

use std::sync::Arc;

use thiserror::Error;
use trunkline_model::Timestamp;
use trunkline_web::{Outbound, OutboundError};

use crate::foreign_jwt::{Cached, JwtFault, Keys, Missed};

pub use claims::Claims;
pub use settings::{Allow, IssuerSettings, RoleRule, SignInSettings};

use metadata::Metadata;

/// One identity provider.
#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) settings: IssuerSettings,
    metadata: Arc<Cached<Metadata>>,
    keys: Arc<Cached<Keys>>,
}

/// Why nobody is signed in through an identity provider.
#[derive(Debug, Error)]
pub(crate) enum OidcError {
    /// It cannot be asked now. Trying again is safe and may help.
    #[error("the identity provider cannot be asked: {0}")]
    Away(String),
    /// What it says of itself does not fit.
    #[error("the identity provider's metadata: {0}")]
    Metadata(&'static str),
    /// It refused the code, or our credential.
    #[error("the identity provider refused the exchange: {0}")]
    Exchange(String),
    /// A token that proves nothing.
    #[error("the token is not accepted: {0}")]
    Token(&'static str),
    #[error("the token is not accepted: {0}")]
    Jwt(JwtFault),
}

impl From<OutboundError> for OidcError {
    fn from(error: OutboundError) -> Self {
        Self::Away(error.to_string())
    }
}

impl From<Missed<Self>> for OidcError {
    fn from(missed: Missed<Self>) -> Self {
        match missed {
            Missed::Failed(error) => error,
            Missed::NotAmong => JwtFault::Key.into(),
            Missed::JustAsked => Self::Away("it was asked a moment ago".to_owned()),
        }
    }
}

impl From<JwtFault> for OidcError {
    fn from(fault: JwtFault) -> Self {
        match fault {
            JwtFault::Away(why) => Self::Away(why),
            fault => Self::Jwt(fault),
        }
    }
}

impl Issuer {
    /// The provider of these settings, with what was known of it before.
    pub(crate) fn new(settings: IssuerSettings, before: &[Arc<Self>]) -> Self {
        let known = before.iter().find(|issuer| issuer.settings.issuer == settings.issuer);
        Self {
            metadata: known.map(|issuer| Arc::clone(&issuer.metadata)).unwrap_or_default(),
            keys: known.map(|issuer| Arc::clone(&issuer.keys)).unwrap_or_default(),
            settings,
        }
    }

    /// What the provider says of itself (OpenID Connect Discovery 1.0).
    pub(crate) async fn metadata(
        &self,
        outbound: &Outbound,
        now: Timestamp,
    ) -> Result<Arc<Metadata>, OidcError> {
        let fetch = async || metadata::fetch(outbound, &self.settings.issuer).await;
        Ok(self.metadata.get(now, |_| true, fetch).await?)
    }

    /// Its keys; asked for again where `wanted` is not among those known.
    async fn keys(
        &self,
        outbound: &Outbound,
        now: Timestamp,
        wanted: impl Fn(&Keys) -> bool,
    ) -> Result<Arc<Keys>, OidcError> {
        let metadata = self.metadata(outbound, now).await?;
        let url = metadata.jwks_uri.as_str();
        let fetch = async || metadata::get(outbound, url, "its keys cannot be read").await;
        Ok(self.keys.get(now, wanted, fetch).await?)
    }
}
