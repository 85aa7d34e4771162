//! What a client asks for: read, and held against the rules.

use serde::{Deserialize, Serialize};
use trunkline_model::{ClientKind, TokenTarget};

use super::{Answer, AuthorizeError, ErrorCode};
use crate::server::AuthorizationServer;
use crate::server::client::Client;
use crate::server::form::Form;
use crate::server::{pkce, redirect};

const LONGEST_STATE: usize = 4096;

/// A request that may be put before a user.
#[derive(Debug)]
pub(in crate::server) struct AuthorizationRequest {
    pub(in crate::server) client: Client,
    pub(in crate::server) asked: Asked,
    /// `prompt=none`.
    pub(in crate::server) must_not_ask: bool,
    /// `prompt=consent`.
    pub(in crate::server) wants_consent: bool,
}

/// What stays of it while the user thinks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::server) struct Asked {
    pub(in crate::server) client: String,
    pub(in crate::server) client_kind: ClientKind,
    pub(in crate::server) registered_uri: String,
    pub(in crate::server) redirect_uri: String,
    pub(in crate::server) state: Option<String>,
    pub(in crate::server) challenge: String,
    pub(in crate::server) target: TokenTarget,
    pub(in crate::server) scope: String,
}

impl Asked {
    pub(in crate::server) fn answer(&self) -> Answer {
        Answer { redirect_uri: self.redirect_uri.clone(), state: self.state.clone() }
    }

    pub(in crate::server) fn is_safe_to_follow(&self) -> bool {
        is_safe_to_follow(self.client_kind, &self.redirect_uri)
    }
}

/// Whether a browser may be sent there without its user having said so: an
/// operator knows the client, or it leads to the user's own machine.
fn is_safe_to_follow(kind: ClientKind, redirect_uri: &str) -> bool {
    kind == ClientKind::Registered || redirect::kind(redirect_uri).is_some_and(redirect::Kind::is_local)
}

/// A request whose answer has somewhere to go.
struct Reachable<'a> {
    form: &'a Form,
    client: &'a Client,
    answer: Answer,
}

impl Reachable<'_> {
    fn refuse(&self, code: ErrorCode, words: &str) -> AuthorizeError {
        let is_safe = is_safe_to_follow(self.client.stored.kind, &self.answer.redirect_uri);
        AuthorizeError::to(self.answer.clone(), is_safe, code, words.to_owned())
    }

    /// The code challenge (RFC 7636 section 4.3).
    fn challenge(&self) -> Result<String, AuthorizeError> {
        let Some(challenge) = self.form.get("code_challenge") else {
            return Err(self.refuse(ErrorCode::InvalidRequest, "code_challenge is missing: PKCE is required"));
        };
        if self.form.get("code_challenge_method") != Some("S256") || !pkce::is_challenge(challenge) {
            return Err(
                self.refuse(ErrorCode::InvalidRequest, "code_challenge must be one of the method S256")
            );
        }
        Ok(challenge.to_owned())
    }

    fn check_kind(&self) -> Result<(), AuthorizeError> {
        if self.form.get("request").is_some() || self.form.get("request_uri").is_some() {
            return Err(self.refuse(ErrorCode::RequestNotSupported, "request objects are not supported"));
        }
        match self.form.get("response_type") {
            Some("code") => {}
            None => return Err(self.refuse(ErrorCode::InvalidRequest, "response_type is missing")),
            Some(_) => {
                let words = "response_type must be code";
                return Err(self.refuse(ErrorCode::UnsupportedResponseType, words));
            }
        }
        if self.form.get("response_mode").is_some_and(|mode| mode != "query") {
            return Err(self.refuse(ErrorCode::InvalidRequest, "response_mode must be query"));
        }
        if !self.client.metadata.has_grant_type("authorization_code") {
            let words = "the client has not registered the grant type authorization_code";
            return Err(self.refuse(ErrorCode::UnauthorizedClient, words));
        }
        Ok(())
    }
}

impl AuthorizationServer {
    pub(super) async fn read_request(&self, query: &str) -> Result<AuthorizationRequest, AuthorizeError> {
        let form = Form::parse(query.as_bytes())?;
        let client = self.client(form.get("client_id").ok_or(AuthorizeError::NoClient)?).await?;
        let (registered, asked) =
            client.redirect(form.get("redirect_uri")).ok_or(AuthorizeError::Redirect)?;
        let (registered_uri, redirect_uri) = (registered.to_owned(), asked.to_owned());
        let state = form.get("state").map(ToOwned::to_owned);
        let is_long = state.as_ref().is_some_and(|state| state.len() > LONGEST_STATE);
        let answer = Answer { redirect_uri: redirect_uri.clone(), state: state.clone().filter(|_| !is_long) };
        let reachable = Reachable { form: &form, client: &client, answer };
        if is_long {
            return Err(reachable.refuse(ErrorCode::InvalidRequest, "state is too long"));
        }
        reachable.check_kind()?;
        let challenge = reachable.challenge()?;
        let target = self.target_of(form.get("resource"), &client).ok_or_else(|| {
            let words = "resource must be the URL of a profile's endpoint on this hub, such as it stands in its metadata";
            reachable.refuse(ErrorCode::InvalidTarget, words)
        })?;
        let prompts: Vec<&str> = form.get("prompt").map(|text| text.split(' ').collect()).unwrap_or_default();
        Ok(AuthorizationRequest {
            must_not_ask: prompts.contains(&"none"),
            wants_consent: prompts.contains(&"consent"),
            asked: Asked {
                client: client.id().to_owned(),
                client_kind: client.stored.kind,
                registered_uri,
                redirect_uri,
                state,
                challenge,
                scope: self.scopes_of(&target).granted(form.get("scope").unwrap_or_default()),
                target,
            },
            client,
        })
    }
}
