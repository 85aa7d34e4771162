//! `/login/callback/{name}`: the browser comes back from an identity provider.

use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode, header};
use serde::Deserialize;
use trunkline_model::User;
use trunkline_storage::IssuerSession;

use super::super::{Login, Next, unavailable};
use super::begin::{away, no_such_issuer};
use super::id_token::Asked;
use super::person::NotLetIn;
use super::transaction::Transaction;
use super::{Claims, Issuer, OidcError, exchange};
use crate::page::{Notice, page};

#[derive(Debug, Deserialize)]
pub(in crate::login) struct Returned {
    code: Option<String>,
    state: Option<String>,
    /// RFC 9207.
    iss: Option<String>,
    error: Option<String>,
}

/// What the provider proved.
pub(super) struct Proved {
    pub(super) claims: Claims,
    session: IssuerSession,
    pub(super) tokens: exchange::Tokens,
}

/// `GET /login/callback/{name}`
pub(in crate::login) async fn callback(
    State(login): State<Arc<Login>>,
    Path(name): Path<String>,
    Query(returned): Query<Returned>,
    headers: HeaderMap,
) -> Response {
    let Some(issuer) = login.issuer(&name) else { return no_such_issuer() };
    let state = returned.state.as_deref().unwrap_or_default();
    let Some((transaction, forget)) = Transaction::find(&login, &name, state, &headers) else {
        return not_under_way();
    };
    let mut response = match login.prove(&issuer, &transaction, &returned).await {
        Ok(proved) => login.let_in(&issuer, proved, &transaction, &headers).await,
        Err(error) => {
            tracing::warn!(issuer = %name, %error, "a sign-in was refused");
            refusal(&issuer, &error)
        }
    };
    response.headers_mut().append(header::SET_COOKIE, forget);
    response
}

impl Login {
    async fn prove(
        &self,
        issuer: &Issuer,
        transaction: &Transaction,
        returned: &Returned,
    ) -> Result<Proved, OidcError> {
        let now = self.now();
        let (outbound, settings) = (&self.outbound, &issuer.settings);
        let metadata = issuer.metadata(outbound, now).await?;
        // RFC 9207 section 2.4: an answer of another provider is not this one's.
        let is_from_it = match &returned.iss {
            Some(iss) => *iss == settings.issuer,
            None => !metadata.authorization_response_iss_parameter_supported,
        };
        if !is_from_it {
            return Err(OidcError::Token("the answer is from another issuer"));
        }
        let Some(code) = returned.code.as_deref().filter(|_| returned.error.is_none()) else {
            let error = returned.error.as_deref().unwrap_or("no code");
            return Err(OidcError::Exchange(
                error.chars().filter(char::is_ascii_graphic).take(100).collect(),
            ));
        };
        let redirect_uri = self.callback_url(&settings.name);
        let proof = exchange::Proof { code, verifier: &transaction.verifier, redirect_uri: &redirect_uri };
        let tokens = exchange::code_for_tokens(outbound, &metadata, settings, proof).await?;
        let id_token = tokens.id_token.expose();
        let asked = Asked::Nonce(&transaction.nonce);
        let mut claims = issuer.verify_id_token(outbound, id_token, asked, now).await?;
        if let Some(endpoint) = &metadata.userinfo_endpoint
            && issuer.lacks(&claims)
        {
            exchange::add_userinfo(outbound, endpoint, &tokens, &mut claims).await?;
        }
        let id_token = self.id_token_sealer.seal(&settings.name, id_token.as_bytes()).ok();
        let session = IssuerSession {
            id: claims.text("sid").map(ToOwned::to_owned),
            id_token: id_token.map(|sealed| sealed.to_string()),
        };
        Ok(Proved { claims, session, tokens })
    }

    async fn let_in(
        &self,
        issuer: &Issuer,
        proved: Proved,
        transaction: &Transaction,
        headers: &HeaderMap,
    ) -> Response {
        let user = match self.person(issuer, &proved.claims).await {
            Ok(user) => user,
            Err(NotLetIn::Store(error)) => return unavailable(error),
            Err(why) => {
                tracing::info!(issuer = %issuer.settings.name, %why, "a person was not let in");
                return not_let_in(&why);
            }
        };
        if issuer.settings.keeps_identity
            && let Err(error) = self.keep_identity(issuer, user.id, &proved).await
        {
            return unavailable(error);
        }
        self.begin_issuer_session(issuer, &user, proved.session, transaction, headers).await
    }

    async fn begin_issuer_session(
        &self,
        issuer: &Issuer,
        user: &User,
        session: IssuerSession,
        transaction: &Transaction,
        headers: &HeaderMap,
    ) -> Response {
        match self.sessions.sign_in_through(user, &issuer.settings.name, headers, &session).await {
            Ok(cookie) => {
                let mut response = Next::or_home(Some(&transaction.next)).go_on();
                response.headers_mut().append(header::SET_COOKIE, cookie);
                response
            }
            Err(error) => unavailable(error),
        }
    }
}

impl Issuer {
    /// Whether something that matters here is not in the ID token.
    fn lacks(&self, claims: &Claims) -> bool {
        let settings = &self.settings;
        let login = settings.login_claim.as_deref().unwrap_or("email");
        let mut wanted = settings.roles.iter().map(|rule| rule.claim.as_str());
        claims.find(&settings.groups_claim).is_none()
            || claims.find(login).is_none()
            || wanted.any(|claim| claims.find(claim).is_none())
    }
}

fn refusal(issuer: &Issuer, error: &OidcError) -> Response {
    let (status, text) = match error {
        OidcError::Away(_) => return away(issuer.settings.shown()),
        OidcError::Exchange(code) if code == "access_denied" => (
            StatusCode::FORBIDDEN,
            "The identity provider says that the sign-in was cancelled or not allowed.",
        ),
        OidcError::Metadata(_) | OidcError::Exchange(_) | OidcError::Token(_) | OidcError::Jwt(_) => (
            StatusCode::BAD_GATEWAY,
            "The identity provider's answer proves nothing to this hub. Nobody was signed in. The hub's log says what \
             is wrong with it.",
        ),
    };
    again(status, "You are not signed in", text)
}

fn not_let_in(why: &NotLetIn) -> Response {
    again(StatusCode::FORBIDDEN, "You are not let in", &why.to_string())
}

fn not_under_way() -> Response {
    again(
        StatusCode::BAD_REQUEST,
        "This sign-in is not under way",
        "It was begun in another browser, has ended already, or took longer than ten minutes. Begin again.",
    )
}

fn again(status: StatusCode, title: &str, text: &str) -> Response {
    let link = Some(("Sign in".to_owned(), "/login".to_owned()));
    page(status, &Notice { title: title.to_owned(), text: text.to_owned(), link })
}
