//! What clients read before they begin: RFC 8414 metadata and our public keys.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{HeaderMap, HeaderValue, header};
use serde::Serialize;
use trunkline_model::TokenTarget;
use url::Url;

use super::AuthorizationServer;
use crate::scope;

/// For documents that change with the configuration alone.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=300");
const NEVER: HeaderValue = HeaderValue::from_static("no-store");

const AUTH_METHODS: [&str; 4] = ["none", "client_secret_basic", "client_secret_post", "private_key_jwt"];

/// The document of RFC 8414 section 2, with the members of RFC 7591, 8628,
/// 9207 and of client id metadata documents.
#[derive(Debug, Serialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    registration_endpoint: Option<String>,
    jwks_uri: String,
    revocation_endpoint: String,
    introspection_endpoint: String,
    device_authorization_endpoint: String,
    scopes_supported: Vec<String>,
    response_types_supported: [&'static str; 1],
    response_modes_supported: [&'static str; 1],
    grant_types_supported: Vec<&'static str>,
    token_endpoint_auth_methods_supported: [&'static str; 4],
    token_endpoint_auth_signing_alg_values_supported: [&'static str; 3],
    revocation_endpoint_auth_methods_supported: [&'static str; 4],
    introspection_endpoint_auth_methods_supported: [&'static str; 3],
    code_challenge_methods_supported: [&'static str; 1],
    authorization_response_iss_parameter_supported: bool,
    client_id_metadata_document_supported: bool,
    /// `draft-ietf-oauth-identity-assertion-authz-grant` section 6.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    authorization_grant_profiles_supported: Vec<&'static str>,
}

impl Metadata {
    fn of(server: &Arc<AuthorizationServer>, issuer: &str) -> Self {
        let settings = server.settings.load();
        let at = |path: &str| format!("{issuer}/oauth/{path}");
        let takes_assertions = !settings.assertion_issuers.is_empty();
        let mut grants = vec![
            "authorization_code",
            "refresh_token",
            "client_credentials",
            super::client_metadata::DEVICE_CODE,
            super::token::TOKEN_EXCHANGE,
        ];
        if takes_assertions {
            grants.push(super::token::JWT_BEARER);
        }
        Self {
            issuer: issuer.to_owned(),
            authorization_endpoint: at("authorize"),
            token_endpoint: at("token"),
            registration_endpoint: settings.registration.then(|| at("register")),
            jwks_uri: at("jwks.json"),
            revocation_endpoint: at("revoke"),
            introspection_endpoint: at("introspect"),
            device_authorization_endpoint: at("device"),
            scopes_supported: server.all_scopes(),
            response_types_supported: ["code"],
            response_modes_supported: ["query"],
            grant_types_supported: grants,
            token_endpoint_auth_methods_supported: AUTH_METHODS,
            token_endpoint_auth_signing_alg_values_supported: ["EdDSA", "ES256", "RS256"],
            revocation_endpoint_auth_methods_supported: AUTH_METHODS,
            introspection_endpoint_auth_methods_supported: [
                AUTH_METHODS[1],
                AUTH_METHODS[2],
                AUTH_METHODS[3],
            ],
            code_challenge_methods_supported: ["S256"],
            authorization_response_iss_parameter_supported: true,
            client_id_metadata_document_supported: settings.client_documents && server.can_fetch_documents(),
            authorization_grant_profiles_supported: if takes_assertions {
                vec!["urn:ietf:params:oauth:grant-profile:id-jag"]
            } else {
                Vec::new()
            },
        }
    }
}

impl AuthorizationServer {
    /// Every scope that any resource of this hub knows. Clients that ask for
    /// all they find are told of less in the resource's own metadata.
    fn all_scopes(&self) -> Vec<String> {
        let profiles = self.profiles.all();
        let profiles = profiles.into_iter().map(TokenTarget::Profile);
        let own: BTreeSet<String> = profiles
            .flat_map(|profile| self.scopes_of(&profile).own().to_vec())
            .map(|scope| scope.name)
            .collect();
        scope::OURS.map(ToOwned::to_owned).into_iter().chain(own).collect()
    }
}

/// The document at every place where a client looks for it: RFC 8414 section
/// 3.1, and `OpenID` Connect Discovery section 4.1 for those that know no other.
pub(super) fn router(public_url: &Url) -> Router<Arc<AuthorizationServer>> {
    let path = public_url.path().trim_end_matches('/');
    let mut places = vec![
        "/.well-known/oauth-authorization-server".to_owned(),
        "/.well-known/openid-configuration".to_owned(),
    ];
    if !path.is_empty() {
        places.push(format!("/.well-known/oauth-authorization-server{path}"));
        places.push(format!("/.well-known/openid-configuration{path}"));
        places.push(format!("{path}/.well-known/openid-configuration"));
    }
    places.iter().fold(Router::new(), |router, place| router.route(place, get(document)))
}

async fn document(State(server): State<Arc<AuthorizationServer>>, headers: HeaderMap) -> Response {
    let metadata = Metadata::of(&server, server.issuer(&headers));
    let answer = ([(header::CACHE_CONTROL, CACHED)], Json(metadata));
    std::future::ready(answer).await.into_response()
}

/// `/oauth/jwks.json`.
pub(super) async fn public_keys(State(server): State<Arc<AuthorizationServer>>) -> Response {
    let answer = ([(header::CACHE_CONTROL, CACHED)], Json(server.tokens.public_keys()));
    std::future::ready(answer).await.into_response()
}

/// Whatever does not say otherwise is kept by no cache (RFC 6749 section 5.1).
pub(super) async fn never_stored(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    response.headers_mut().entry(header::CACHE_CONTROL).or_insert(NEVER);
    response
}
