//! Sign-in: who sits in front of a browser.
//!
//! - [`Sessions`] say who is signed in; everything else here makes them.
//! - [`Forms`] prove that a form comes from a page of ours.
//! - [`router`] has the pages.

mod account;
mod attempts;
pub(crate) mod cookie;
mod forms;
mod link;
mod next;
mod oidc;
mod password;
mod sessions;
mod setup;
mod sign_in;
mod sign_out;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use axum::Router;
use axum::extract::FromRef;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use http::{HeaderValue, StatusCode, header};
use trunkline_model::{Clock, Members, ProfileName, Secret, TeamId, Timestamp, User, UserId};
use trunkline_storage::{Sealer, Store, StoreError, VaultError};
use trunkline_web::Outbound;
use url::Url;

pub use forms::{FormToken, Forms, Posted, TOKEN_FIELD};
pub use next::Next;
pub use oidc::{Allow, Claims, IssuerSettings, RoleRule, SignInSettings};
pub use sessions::{Sessions, SignedIn};

use crate::keys::Form;
use crate::page::{Notice, page};
use crate::people::People;
use crate::resource::Resource;
use attempts::Attempts;
use cookie::Cookie;
use oidc::Issuer;
use oidc::backchannel::UsedTokens;
use oidc::kept::Renewals;
use password::Passwords;

/// How long the first owner may take to open the setup link.
pub const SETUP_LINK_LIFETIME: Duration = Duration::from_hours(1);
/// How long a link may wait that signs a user in.
pub const LINK_LIFETIME: Duration = Duration::from_hours(24);

/// Sign-in, as its routes share it.
#[derive(Debug)]
pub struct Login {
    store: Arc<Store>,
    people: Arc<People>,
    sessions: Arc<Sessions>,
    forms: Forms,
    passwords: Passwords,
    attempts: Attempts,
    /// In which browsers somebody has signed in before.
    known_browser: Cookie,
    known_browser_sealer: Sealer,
    resource: Arc<Resource>,
    outbound: Outbound,
    ways: ArcSwap<Ways>,
    transaction_sealer: Sealer,
    id_token_sealer: Sealer,
    used_tokens: UsedTokens,
    identity_sealer: Sealer,
    renewals: Renewals,
    /// The profiles in their order, and whom each is for.
    profiles: ArcSwap<Vec<(ProfileName, Option<Members>)>>,
    clock: Arc<dyn Clock>,
    public_url: Url,
}

/// How people sign in at present.
#[derive(Debug)]
struct Ways {
    password: bool,
    issuers: Vec<Arc<Issuer>>,
}

/// What sign-in stands on.
#[derive(Debug)]
pub struct LoginParts {
    pub store: Arc<Store>,
    pub people: Arc<People>,
    pub sessions: Arc<Sessions>,
    pub resource: Arc<Resource>,
    /// For identity providers.
    pub outbound: Outbound,
    pub settings: SignInSettings,
    pub clock: Arc<dyn Clock>,
    pub public_url: Url,
}

impl Login {
    /// # Errors
    /// [`VaultError`] when the cryptographic library fails.
    pub fn new(parts: LoginParts) -> Result<Arc<Self>, VaultError> {
        let LoginParts { store, people, sessions, resource, outbound, settings, clock, public_url } = parts;
        Ok(Arc::new(Self {
            forms: Forms::new(&public_url),
            passwords: Passwords::new(),
            attempts: Attempts::new(),
            known_browser: Cookie::new("trunkline_browser", &public_url),
            known_browser_sealer: store.vault().sealer("known-browser")?,
            resource,
            outbound,
            ways: ArcSwap::from_pointee(Ways::new(settings, &[])),
            transaction_sealer: store.vault().sealer("oidc-transaction")?,
            id_token_sealer: store.vault().sealer("oidc-id-token")?,
            used_tokens: UsedTokens::default(),
            identity_sealer: store.vault().sealer("kept-identity")?,
            renewals: Renewals::new(&mut rand::rng()),
            profiles: ArcSwap::default(),
            store,
            people,
            sessions,
            clock,
            public_url,
        }))
    }

    /// From here on people sign in this way. Who is signed in stays so.
    pub fn apply(&self, settings: SignInSettings) {
        self.ways.store(Arc::new(Ways::new(settings, &self.ways.load().issuers)));
    }

    /// From here on people make keys for these profiles, where they are members.
    pub fn apply_profiles(&self, profiles: Vec<(ProfileName, Option<Members>)>) {
        self.profiles.store(Arc::new(profiles));
    }

    fn issuer(&self, name: &str) -> Option<Arc<Issuer>> {
        self.ways.load().issuers.iter().find(|issuer| issuer.settings.name == name).cloned()
    }

    /// The link with which the first owner makes their account, in place of
    /// one made before; none when there is a user.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub async fn setup_link(&self) -> Result<Option<Secret>, StoreError> {
        let now = self.clock.now();
        let minted = Form::LINK.mint(&mut rand::rng());
        let until = now.plus(SETUP_LINK_LIFETIME);
        let is_new = self.store.sign_in_links().insert_setup(minted.hash, now, until).await?;
        Ok(is_new.then(|| self.url(&format!("/setup/{}", minted.key.expose()))))
    }

    /// A URL of this hub that must not be shown to anybody else.
    fn url(&self, path: &str) -> Secret {
        Secret::new(format!("{}{path}", self.public_url.as_str().trim_end_matches('/')))
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl Ways {
    fn new(settings: SignInSettings, before: &[Arc<Issuer>]) -> Self {
        let issuers = settings.issuers.into_iter().map(|issuer| Arc::new(Issuer::new(issuer, before)));
        Self { password: settings.password, issuers: issuers.collect() }
    }
}

/// Makes a link that signs `user` in, once, at the hub at `public_url`.
///
/// # Errors
/// [`StoreError::Database`], also when there is no such user.
pub async fn make_link(
    store: &Store,
    public_url: &str,
    user: UserId,
    now: Timestamp,
) -> Result<Secret, StoreError> {
    let minted = Form::LINK.mint(&mut rand::rng());
    store.sign_in_links().insert(minted.hash, user, now, now.plus(LINK_LIFETIME)).await?;
    let public_url = public_url.trim_end_matches('/');
    Ok(Secret::new(format!("{public_url}/login/link/{}", minted.key.expose())))
}

impl FromRef<Arc<Login>> for Forms {
    fn from_ref(login: &Arc<Login>) -> Self {
        login.forms.clone()
    }
}

/// The pages: `/login`, `/logout`, `/setup/…`, `/account`.
pub fn router(login: Arc<Login>) -> Router {
    Router::new()
        .route("/login", get(sign_in::show).post(sign_in::sign_in))
        .route("/login/link/{link}", get(link::show).post(link::follow))
        .route("/login/issuer/{name}", get(oidc::begin::begin))
        .route("/login/callback/{name}", get(oidc::callback::callback))
        .route("/login/backchannel/{name}", post(oidc::backchannel::sign_out))
        .route("/logout", post(sign_out::sign_out))
        .route("/setup/{link}", get(setup::show).post(setup::finish))
        .route("/account", get(account::show))
        .route("/account/sessions/{id}/revoke", post(account::revoke_session))
        .route("/account/keys", post(account::create_key))
        .route("/account/keys/{id}/revoke", post(account::revoke_key))
        .with_state(login)
}

/// Sends the browser on after a form (RFC 9110 section 15.4.4).
fn see_other(location: HeaderValue) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, location), (header::CACHE_CONTROL, NO_STORE)]).into_response()
}

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// What a person sees when the database does not answer; nobody is signed in.
#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn unavailable(error: StoreError) -> Response {
    tracing::warn!(%error, "somebody could not be signed in or out");
    let notice = Notice {
        title: "This hub cannot do that now".to_owned(),
        text: "Its database does not answer, and perhaps nothing was changed. Try again in a moment."
            .to_owned(),
        link: None,
    };
    page(StatusCode::SERVICE_UNAVAILABLE, &notice)
}

/// A new user's id.
pub fn new_user_id(now: Timestamp) -> UserId {
    let mut random = [0; 10];
    rand::Rng::fill_bytes(&mut rand::rng(), &mut random);
    UserId::new(random, now)
}

/// A new team's id.
pub fn new_team_id(now: Timestamp) -> TeamId {
    let mut random = [0; 10];
    rand::Rng::fill_bytes(&mut rand::rng(), &mut random);
    TeamId::new(random, now)
}

/// A person as they are when their account begins.
pub(crate) fn new_person(login: String, name: String, role: trunkline_model::Role, now: Timestamp) -> User {
    User {
        id: new_user_id(now),
        kind: trunkline_model::UserKind::Person,
        name: if name.is_empty() { login.clone() } else { name },
        login,
        role,
        created_at: now,
        disabled_at: None,
    }
}
