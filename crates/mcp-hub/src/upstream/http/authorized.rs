//! The one place where a request gets a credential that an authorization
//! server gave: every verb, streams and the end of a session too.

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap};
use http::{Method, StatusCode};
use trunkline_oauth::client::{Challenge, Credential, Unusable};
use trunkline_web::egress::Response;

use super::{Failure, Wire};

impl Wire {
    /// Sends a request with the caller's credential. A refusal (HTTP 401) has
    /// executed nothing: with a newer token the request is sent once more.
    pub(super) async fn send_authorized(
        &self,
        credential: &Credential,
        method: Method,
        mut headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Response, Failure> {
        let mut known = credential.header();
        for attempt in 0..2 {
            let (header, version) = match known.take() {
                Some(known) => known,
                None => credential.obtain().await.map_err(|error| unusable(error, credential))?,
            };
            headers.insert(AUTHORIZATION, header);
            let response =
                self.egress.request(method.clone(), &self.target, headers.clone(), body.clone()).await?;
            match response.status() {
                StatusCode::UNAUTHORIZED => {
                    let challenge = Challenge::of(response.headers());
                    drop(response);
                    let newer = credential.after_refusal(version, challenge.as_ref()).await;
                    known = Some(newer.map_err(|error| unusable(error, credential))?);
                    if attempt == 1 {
                        break;
                    }
                }
                StatusCode::FORBIDDEN => match Challenge::of(response.headers()) {
                    Some(challenge) if challenge.asks_for_more_scope() => {
                        let lack = credential.after_lack_of_scope(&challenge).await;
                        return Err(unusable(lack, credential));
                    }
                    _ => return Ok(response),
                },
                _ => {
                    credential.answered();
                    return Ok(response);
                }
            }
        }
        let reason = "it refuses one new token after the other (HTTP 401)".to_owned();
        Err(Failure::SignIn { reason, link: credential.link() })
    }
}

/// Why there is no credential, as a failure of the request.
pub(super) fn unusable(error: Unusable, credential: &Credential) -> Failure {
    match error {
        Unusable::NeedsConsent { reason } => Failure::SignIn { reason, link: credential.link() },
        Unusable::NotForCaller { reason } => Failure::SignIn { reason, link: None },
        Unusable::Unavailable { reason } => Failure::NotSent { reason },
    }
}
