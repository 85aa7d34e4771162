//! A consent, from its beginning to the browser's return (RFC 6749 section
//! 4.1 with PKCE, RFC 8707, RFC 9207).

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use thiserror::Error;
use trunkline_model::{
    Connection, ConnectionDetail, ConnectionOwner, ConnectionState, OAuthAuth, ServerAuth, ServerName,
};
use trunkline_storage::StoreError;
use url::Url;

use super::connections::{Connections, Upstream, no_vault};
use super::discovery::{Discovered, DiscoveryError, discover};
use super::metadata::{Lie, cut};
use super::registration::RegistrationError;
use super::sealed::{Begun, Invitation, open, place_of_tokens, seal, seal_tokens};
use super::token::{self, TokenError};
use crate::keys;

/// How long a person may take.
pub(super) const PATIENCE: Duration = Duration::from_mins(10);
const OFFLINE_ACCESS: &str = "offline_access";

/// A consent that has begun.
#[derive(Debug)]
pub struct Beginning {
    /// Where the browser goes.
    pub authorization_url: String,
    /// A cookie for this browser alone: its name and its value.
    pub cookie: (String, String),
}

/// What the browser brings back (RFC 6749 section 4.1.2, RFC 9207 section 2).
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(default)]
pub struct Returned {
    pub state: String,
    pub code: Option<String>,
    pub iss: Option<String>,
    pub error: Option<String>,
    pub error_description: Option<String>,
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum FlowError {
    #[error("there is no server named {0} that somebody can connect")]
    NoSuchServer(String),
    #[error("people connect {server} by signing in to this hub through {provider}, each at {url}")]
    BySignIn { server: ServerName, provider: String, url: String },
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    #[error("the authorization server cannot be used: {0}")]
    Unfit(#[from] Lie),
    #[error(transparent)]
    Registration(#[from] RegistrationError),
    #[error(
        "this consent was not begun here, is older than ten minutes, or has been used already; begin anew"
    )]
    Unknown,
    #[error("this consent was begun in another browser or by somebody else; begin anew in this one")]
    Foreign,
    #[error(
        "the answer comes from another authorization server than the one that was asked; nothing was sent to it"
    )]
    OtherIssuer,
    #[error("the authorization server says: {0}")]
    Denied(String),
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Connections {
    /// Begins a consent of `owner`, in the browser of `person`.
    ///
    /// # Errors
    /// [`FlowError`] in words for a person.
    pub async fn begin(
        self: &Arc<Self>,
        server: &ServerName,
        owner: ConnectionOwner,
        person: Option<String>,
    ) -> Result<Beginning, FlowError> {
        let (upstream, oauth) = self.consented(server)?;
        let found = discover(self.transport.as_ref(), &upstream.url).await?;
        found.metadata.check_for_code()?;
        let scopes = self.scopes(&upstream, &oauth, &found, &owner);
        let (client, _) = Box::pin(self.client(&upstream, &oauth, &found, &scopes)).await?;
        let (state, verifier, browser) = (self.random_text(), self.random_text(), self.random_text());
        let begun = Begun {
            server: server.clone(),
            owner,
            person,
            browser: hash_text(&browser),
            verifier,
            issuer: found.metadata.issuer.clone(),
            names_issuer: found.metadata.authorization_response_iss_parameter_supported,
            token_endpoint: found.metadata.token_endpoint.clone().unwrap_or_default(),
            revocation_endpoint: found.metadata.revocation_endpoint.clone(),
            client_id: client.client_id,
            redirect_uri: self.presence.redirect_uri.clone(),
            resource: found.resource.clone(),
            scopes,
        };
        let authorization_url = authorization_url(&found, &begun, &state)?;
        let now = self.clock.now();
        let sealed = seal(&self.flow_sealer, &hash_text(&state), &begun).map_err(|error| no_vault(&error))?;
        self.store.upstream_flows().insert(hash(&state), &sealed, now.plus(PATIENCE), now).await?;
        Ok(Beginning { authorization_url, cookie: (cookie_name(&state), browser) })
    }

    /// Completes a consent with what the browser brought back. `cookie` gives
    /// the browser's cookie of a name; `person` is who is signed in there.
    ///
    /// # Errors
    /// [`FlowError`] in words for a person.
    pub async fn complete(
        self: &Arc<Self>,
        returned: Returned,
        cookie: impl Fn(&str) -> Option<String>,
        person: Option<&str>,
    ) -> Result<ServerName, FlowError> {
        let now = self.clock.now();
        let browser = cookie(&cookie_name(&returned.state)).ok_or(FlowError::Foreign);
        let sealed = self.store.upstream_flows().take(hash(&returned.state), now).await?;
        let sealed = sealed.ok_or(FlowError::Unknown)?;
        let begun: Begun =
            open(&self.flow_sealer, &hash_text(&returned.state), &sealed).map_err(|_| FlowError::Unknown)?;
        let same_person = begun.person.as_deref().is_none_or(|began| Some(began) == person);
        if hash_text(&browser?) != begun.browser || !same_person {
            return Err(FlowError::Foreign);
        }
        // Judged before anything else that the answer says (RFC 9207 section 2.4).
        match &returned.iss {
            Some(issuer) if *issuer != begun.issuer => return Err(FlowError::OtherIssuer),
            None if begun.names_issuer => return Err(FlowError::OtherIssuer),
            Some(_) | None => {}
        }
        if let Some(error) = &returned.error {
            let description = returned.error_description.as_deref().unwrap_or_default();
            let said = format!("{} {}", cut(error), cut(description));
            return Err(FlowError::Denied(said.trim_end().to_owned()));
        }
        let code = returned.code.ok_or_else(|| FlowError::Denied("it sent no code".to_owned()))?;
        Box::pin(self.exchange_code(begun, &code)).await
    }

    async fn exchange_code(self: &Arc<Self>, begun: Begun, code: &str) -> Result<ServerName, FlowError> {
        let proof = self.proof(&begun.server, &begun.issuer, &begun.client_id).await;
        let proof = proof.map_err(FlowError::Denied)?;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", begun.redirect_uri.as_str()),
            ("code_verifier", begun.verifier.as_str()),
            ("resource", begun.resource.as_str()),
        ];
        let asked =
            token::ask(self.transport.as_ref(), &begun.token_endpoint, &proof, &form, || self.clock.now());
        let granted = match asked.await {
            Ok(granted) => granted,
            Err(error) => {
                if let TokenError::Client { said } = &error {
                    self.client_refused(&connection_of(&begun, 0), said).await;
                }
                return Err(error.into());
            }
        };
        let now = self.clock.now();
        let mut connection = connection_of(&begun, now.as_micros());
        let tokens = granted.tokens;
        let detail = &mut connection.detail;
        detail.scopes = granted.scopes.unwrap_or(begun.scopes);
        detail.connected_at = Some(now);
        detail.expires_at = tokens.expires_at;
        detail.refresh_at = self.refresh_at(&tokens);
        let place = place_of_tokens(&connection.server, &connection.owner);
        let sealed = seal_tokens(&self.token_sealer, &place, &tokens).map_err(|error| no_vault(&error))?;
        connection.sealed = Some(sealed);
        let held = self.held(&connection.server, &connection.owner);
        let _turn = held.turn.lock().await;
        let before = held.now.load_full();
        self.store.connections().put(&connection).await?;
        self.show(&held, connection.clone(), Some(tokens), false);
        self.revoke_replaced(&before, &connection);
        tracing::info!(server = %begun.server, owner = %begun.owner, "a server was connected");
        Ok(begun.server)
    }

    /// A link with which one browser, once, begins a consent of `owner`: for
    /// operators without a browser session. Its holder consents in their name.
    ///
    /// # Errors
    /// [`FlowError`].
    pub async fn invite(&self, server: &ServerName, owner: ConnectionOwner) -> Result<String, FlowError> {
        self.consented(server)?;
        let ticket = self.random_text();
        let invitation = Invitation { server: server.clone(), owner };
        let sealed =
            seal(&self.flow_sealer, &hash_text(&ticket), &invitation).map_err(|error| no_vault(&error))?;
        let now = self.clock.now();
        self.store.upstream_flows().insert(hash(&ticket), &sealed, now.plus(PATIENCE), now).await?;
        Ok(format!("{}?ticket={ticket}", self.presence.connect_url(server)))
    }

    /// For whom a ticket is; it is good once.
    ///
    /// # Errors
    /// [`FlowError::Unknown`].
    pub async fn take_invitation(
        &self,
        server: &ServerName,
        ticket: &str,
    ) -> Result<ConnectionOwner, FlowError> {
        let sealed = self.store.upstream_flows().take(hash(ticket), self.clock.now()).await?;
        let sealed = sealed.ok_or(FlowError::Unknown)?;
        let invitation: Invitation =
            open(&self.flow_sealer, &hash_text(ticket), &sealed).map_err(|_| FlowError::Unknown)?;
        if invitation.server == *server { Ok(invitation.owner) } else { Err(FlowError::Unknown) }
    }

    /// A server that somebody's consent opens.
    fn consented(&self, server: &ServerName) -> Result<(Arc<Upstream>, OAuthAuth), FlowError> {
        if let Some(provider) = self.shows_caller_of(server) {
            let url = self.presence.connect_url(server);
            return Err(FlowError::BySignIn { server: server.clone(), provider, url });
        }
        let upstream = self.upstream(server).filter(|upstream| upstream.needs_person());
        let upstream = upstream.ok_or_else(|| FlowError::NoSuchServer(server.to_string()))?;
        match &upstream.auth {
            ServerAuth::OAuth(oauth) => {
                let oauth = OAuthAuth::clone(oauth);
                Ok((upstream, oauth))
            }
            _ => Err(FlowError::NoSuchServer(server.to_string())),
        }
    }

    /// What is asked for: what the operator wants, else what the server asks
    /// for; besides what it has asked for since, and what has been granted.
    fn scopes(
        &self,
        upstream: &Upstream,
        oauth: &OAuthAuth,
        found: &Discovered,
        owner: &ConnectionOwner,
    ) -> Vec<String> {
        let mut scopes = if oauth.scopes.is_empty() { found.scopes.clone() } else { oauth.scopes.clone() };
        let now = self.held(&upstream.name, owner).now.load_full();
        if let Some(connection) = now.connection.as_ref().filter(|known| !known.detail.wanted.is_empty()) {
            let detail = &connection.detail;
            for scope in detail.scopes.iter().chain(&detail.wanted) {
                if !scopes.contains(scope) {
                    scopes.push(scope.clone());
                }
            }
        }
        let supported = found.metadata.scopes_supported.as_deref().unwrap_or_default();
        let lasting = supported.iter().any(|scope| scope == OFFLINE_ACCESS);
        if lasting && !scopes.iter().any(|scope| scope == OFFLINE_ACCESS) {
            scopes.push(OFFLINE_ACCESS.to_owned());
        }
        scopes
    }
}

fn connection_of(begun: &Begun, version: i64) -> Connection {
    Connection {
        server: begun.server.clone(),
        owner: begun.owner.clone(),
        version,
        state: ConnectionState::Connected,
        sealed: None,
        detail: ConnectionDetail {
            issuer: begun.issuer.clone(),
            token_endpoint: begun.token_endpoint.clone(),
            revocation_endpoint: begun.revocation_endpoint.clone(),
            client_id: begun.client_id.clone(),
            resource: begun.resource.clone(),
            ..ConnectionDetail::default()
        },
        lease: None,
    }
}

/// Where a person consents; what stands in the endpoint's query stays (RFC 6749 section 3.1).
fn authorization_url(found: &Discovered, begun: &Begun, state: &str) -> Result<String, Lie> {
    let endpoint = found.metadata.authorization_endpoint.as_deref();
    let endpoint = endpoint.ok_or(Lie::Missing("authorization endpoint"))?;
    let lie = |_| Lie::Endpoint { what: "authorization endpoint", url: cut(endpoint), fault: "is not a URL" };
    let mut url = Url::parse(endpoint).map_err(lie)?;
    let challenge = hash_text(&begun.verifier);
    {
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &begun.client_id)
            .append_pair("redirect_uri", &begun.redirect_uri)
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256")
            .append_pair("state", state)
            .append_pair("resource", &begun.resource);
        if !begun.scopes.is_empty() {
            query.append_pair("scope", &begun.scopes.join(" "));
        }
        if begun.scopes.iter().any(|scope| scope == OFFLINE_ACCESS) {
            // Without it offline access is not granted (OpenID Connect Core section 11).
            query.append_pair("prompt", "consent");
        }
    }
    Ok(url.into())
}

fn hash(secret: &str) -> [u8; 32] {
    keys::hash(secret).0
}

fn hash_text(secret: &str) -> String {
    URL_SAFE_NO_PAD.encode(hash(secret))
}

/// Each consent has a cookie of its own: several may be under way in one browser.
fn cookie_name(state: &str) -> String {
    let hash = hash(state);
    format!("trunkline_connect_{:02x}{:02x}{:02x}{:02x}", hash[0], hash[1], hash[2], hash[3])
}
