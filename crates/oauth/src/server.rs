//! Our authorization server, for the clients of profiles with `auth: oauth`:
//! OAuth 2.1 as MCP's authorization (2026-07-28) wants it.
//!
//! Each endpoint is a file: parameters come in through `form`, are judged by
//! rules that know neither HTTP nor SQL (`redirect`, `pkce`, `scope`,
//! `client_metadata`), and what is kept goes into the store. Each endpoint has
//! errors of its own, in the shape of its RFC.

mod assertion;
mod authorize;
mod client;
mod client_auth;
mod client_document;
mod client_metadata;
mod consent;
mod device;
mod foreign_keys;
mod form;
mod introspect;
mod issue;
mod metadata;
mod pages;
mod pkce;
mod rate;
mod redirect;
mod register;
mod registered;
mod registration;
mod resource_parameter;
mod revoke;
mod sweep;
mod token;
mod transaction;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use axum::Router;
use axum::routing::{get, post};
use http::HeaderMap;
use trunkline_model::{Clock, Members, ProfileName};
use trunkline_storage::{Sealer, Store, VaultError};
use trunkline_web::{Outbound, Tasks};
use url::Url;

use crate::base::Base;
use crate::login::Sessions;
use crate::people::People;
use crate::scope::Scope;
use crate::tokens::Tokens;

pub use assertion::AssertionIssuer;
pub use registered::{NewClient, NewClientFault, create_client};

/// What the authorization server stands on.
#[derive(Debug)]
pub struct Parts {
    pub store: Arc<Store>,
    pub people: Arc<People>,
    pub sessions: Arc<Sessions>,
    pub tokens: Arc<Tokens>,
    pub profiles: Arc<dyn Profiles>,
    pub outbound: Outbound,
    pub clock: Arc<dyn Clock>,
    pub tasks: Tasks,
    /// Where clients reach the hub.
    pub public_url: Url,
    /// What it is called there.
    pub base: Base,
    pub settings: Settings,
}

/// What the operator decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Clients may register themselves (RFC 7591).
    pub registration: bool,
    /// A client's id may be the URL of a document that describes it.
    pub client_documents: bool,
    /// Copies of such documents that are used in place of fetching: URL and JSON.
    pub pinned_documents: Vec<(String, String)>,
    /// Whose assertions are taken for users of this hub.
    pub assertion_issuers: Vec<AssertionIssuer>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            registration: true,
            client_documents: true,
            pinned_documents: Vec::new(),
            assertion_issuers: Vec::new(),
        }
    }
}

/// The profiles of the running hub, as far as signing in goes.
pub trait Profiles: fmt::Debug + Send + Sync {
    /// The profile with this name, if its callers sign in.
    fn find(&self, name: &str) -> Option<ProfileAccess>;
    /// Every profile whose callers sign in.
    fn all(&self) -> Vec<ProfileName>;
}

/// Who may use a profile.
#[derive(Debug, Clone)]
pub struct ProfileAccess {
    pub name: ProfileName,
    /// None means everyone who can sign in.
    pub members: Option<Members>,
    /// What its tokens need for some of its tools.
    pub scopes: Vec<Scope>,
}

/// The server. Its handlers share it.
#[derive(Debug)]
pub struct AuthorizationServer {
    store: Arc<Store>,
    people: Arc<People>,
    sessions: Arc<Sessions>,
    tokens: Arc<Tokens>,
    profiles: Arc<dyn Profiles>,
    outbound: Outbound,
    clock: Arc<dyn Clock>,
    public_url: Url,
    base: Base,
    settings: ArcSwap<Settings>,
    tasks: Tasks,
    /// Seals what a page of ours carries from one request to the next.
    transactions: Sealer,
    documents: client_document::Documents,
    foreign_keys: foreign_keys::KeySets,
    registrations: rate::Rate,
    device_tries: rate::Rate,
    device_starts: rate::Rate,
}

impl AuthorizationServer {
    /// Starts the server, and the work that it does by itself.
    ///
    /// # Errors
    /// [`VaultError`] when the vault gives no key.
    pub fn start(parts: Parts) -> Result<Arc<Self>, VaultError> {
        let server = Arc::new(Self {
            transactions: parts.store.vault().sealer("oauth-transaction")?,
            documents: client_document::Documents::new(parts.outbound.has_way_out(), parts.clock.now()),
            foreign_keys: foreign_keys::KeySets::default(),
            registrations: rate::Rate::per_hour(60),
            device_tries: rate::Rate::per_hour(30),
            device_starts: rate::Rate::per_hour(120),
            store: parts.store,
            people: parts.people,
            sessions: parts.sessions,
            tokens: parts.tokens,
            profiles: parts.profiles,
            outbound: parts.outbound,
            clock: parts.clock,
            public_url: parts.public_url,
            base: parts.base,
            settings: ArcSwap::from_pointee(parts.settings),
            tasks: parts.tasks.clone(),
        });
        let sweeper = Arc::clone(&server);
        parts.tasks.spawn_until_stop(async move { sweeper.sweep_for_ever().await });
        Ok(server)
    }

    /// From here on other settings count.
    pub fn apply(&self, settings: Settings) {
        if **self.settings.load() != settings {
            self.documents.forget();
            self.settings.store(Arc::new(settings));
        }
    }

    /// What clients ask. Whoever does has a credential in the body or none at
    /// all: no cookie counts.
    pub fn routes_for_clients(self: &Arc<Self>) -> Router {
        Router::new()
            .merge(metadata::router(&self.public_url))
            .route("/oauth/jwks.json", get(metadata::public_keys))
            .route("/oauth/register", post(register::handle))
            .route(
                "/oauth/register/{client}",
                get(registration::read).put(registration::replace).delete(registration::delete),
            )
            .route("/oauth/token", post(token::handle))
            .route("/oauth/revoke", post(revoke::handle))
            .route("/oauth/introspect", post(introspect::handle))
            .route("/oauth/device", post(device::start::handle).get(device::page::elsewhere))
            .layer(axum::middleware::from_fn(metadata::never_stored))
            .with_state(Arc::clone(self))
    }

    /// The pages, for people in front of browsers.
    pub fn routes_for_people(self: &Arc<Self>) -> Router {
        Router::new()
            .route("/oauth/authorize", get(authorize::handle))
            .route("/oauth/consent", post(consent::handle))
            .route("/device", get(device::page::show).post(device::page::answer))
            .with_state(Arc::clone(self))
    }

    /// Our issuer, as whoever sends these headers calls it.
    fn issuer(&self, headers: &HeaderMap) -> &str {
        self.base.seen_in(headers)
    }
}

#[cfg(test)]
mod tests;
