//! `POST /oauth/consent`: the user's answer to the question whether a client
//! may act for them.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use trunkline_model::ClientKind;
use trunkline_storage::authorization::Consent;
use trunkline_web::body;

use super::AuthorizationServer;
use super::authorize::{Asked, AuthorizeError, ErrorCode, see_other};
use super::form::{self, Form};
use crate::login::SignedIn;
use crate::page::{self, Notice};

pub(super) async fn handle(State(server): State<Arc<AuthorizationServer>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = match body::read(&parts.headers, body, form::LONGEST).await {
        Ok(bytes) => bytes,
        Err(error) => return over(error.status()),
    };
    let Ok(form) = Form::parse(&bytes) else { return over(StatusCode::BAD_REQUEST) };
    // The question was put to this session: without it, the answer is nobody's.
    let Some(signed_in) = server.sessions.signed_in(&parts.headers) else {
        return over(StatusCode::FORBIDDEN);
    };
    let transaction = form.get("transaction").unwrap_or_default();
    let Some(asked) = server.carried::<Asked>("consent", signed_in.session, transaction) else {
        return over(StatusCode::FORBIDDEN);
    };
    let issuer = server.issuer(&parts.headers);
    let outcome = match form.get("decision") {
        Some("allow") => server.allow(&signed_in, &asked, issuer).await,
        Some("deny") => {
            let parameters = [("error", "access_denied"), ("error_description", "the user said no")];
            Ok(see_other(&asked.answer().location(issuer, &parameters)))
        }
        _ => return over(StatusCode::BAD_REQUEST),
    };
    outcome.unwrap_or_else(|error| error.into_response(issuer))
}

impl AuthorizationServer {
    /// Things may have changed since the question was asked.
    async fn allow(
        &self,
        signed_in: &SignedIn,
        asked: &Asked,
        issuer: &str,
    ) -> Result<Response, AuthorizeError> {
        let client = self.client(&asked.client).await?;
        if client.redirect(Some(&asked.redirect_uri)).is_none() {
            return Err(AuthorizeError::Redirect);
        }
        if !self.admits(signed_in.user.id, &asked.target) {
            return Err(AuthorizeError::Shown {
                to: asked.answer(),
                code: ErrorCode::AccessDenied,
                words: format!("{} is not a member of the profile {}.", signed_in.user.login, asked.target),
            });
        }
        if client.stored.kind == ClientKind::Document {
            // From now on operators see it.
            self.store.clients().insert(&client.stored).await?;
        }
        let consent = Consent {
            user: signed_in.user.id,
            client: asked.client.clone(),
            redirect_uri: asked.registered_uri.clone(),
            target: asked.target.clone(),
            scope: asked.scope.clone(),
            given_at: self.clock.now(),
        };
        self.store.consents().remember(&consent).await?;
        tracing::info!(user = signed_in.user.login, client = asked.client, resource = %asked.target, "a user allowed an OAuth client");
        self.answer_with_code(signed_in, asked, issuer).await
    }
}

fn over(status: StatusCode) -> Response {
    let notice = Notice {
        title: "This question is no longer open".to_owned(),
        text: "It was asked too long ago, or in another browser session. Start to sign in again from your client."
            .to_owned(),
        link: None,
    };
    page::page(status, &notice)
}
