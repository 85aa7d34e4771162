//! `/logout`.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::{HeaderValue, header};

use super::{Login, Posted, see_other, unavailable};

/// `POST /logout`
pub(super) async fn sign_out(State(login): State<Arc<Login>>, posted: Posted) -> Response {
    let mut response = see_other(HeaderValue::from_static("/login"));
    if let Some(signed_in) = login.sessions.signed_in(&posted.headers) {
        match login.sessions.sign_out(signed_in.session).await {
            Ok(cookie) => {
                response.headers_mut().append(header::SET_COOKIE, cookie);
            }
            Err(error) => return unavailable(error),
        }
    }
    response
}
