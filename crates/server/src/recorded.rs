//! Sign-ins, consents, tokens, connections and provisioning in the audit
//! trail: what these endpoints are asked to change, who asked, and how it ended.

use std::sync::Arc;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use trunkline_model::{Action, Clock, Decision, Outcome, Principal, Reason};
use trunkline_oauth::login::Sessions;
use trunkline_profiles::{Acted, Guard};
use trunkline_web::{Problem, RequestId};
use uuid::Uuid;

/// Requests that change something although a browser makes them by following
/// a link. An authorization does so only where it sends the browser on.
const CHANGING: [&str; 3] = ["/login/callback/{name}", "/oauth/upstream/callback", "/oauth/authorize"];
/// Parameters of paths that are secrets.
const SECRET: &str = "{link}";

#[derive(Debug, Clone)]
pub(crate) struct Recorder {
    pub(crate) guard: Arc<Guard>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Recorder {
    /// Records what the routes of `router` are asked to change.
    pub(crate) fn around(self, router: Router) -> Router {
        router.route_layer(from_fn_with_state(self, record))
    }

    /// The person whose session these headers present.
    fn person(&self, headers: &HeaderMap) -> Option<Principal> {
        let signed_in = self.sessions.signed_in(headers)?;
        Some(Principal::Person {
            id: signed_in.user.id,
            name: signed_in.user.login.as_str().into(),
            session: signed_in.session,
        })
    }
}

async fn record(State(recorder): State<Recorder>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
    let is_change = !request.method().is_safe();
    if !is_change && !CHANGING.contains(&route.as_str()) {
        return next.run(request).await;
    }
    let target = (!route.contains(SECRET)).then(|| request.uri().path().to_owned());
    let action =
        Action { method: format!("{} {route}", request.method()), server: None, target, shown_as: None };
    let request_id = request.extensions().get::<RequestId>().map_or_else(Uuid::now_v7, |id| id.0);
    let arrived = recorder.clock.now();
    let before = recorder.person(request.headers());
    let response = next.run(request).await;
    let status = response.status();
    if !is_change && status == StatusCode::OK && route == "/oauth/authorize" {
        return response;
    }
    // Whoever has just signed in is known by the cookie that they were given.
    let caller = before.or_else(|| recorder.person(&given_cookies(&response)));
    let (decision, outcome) = judged(status);
    let acted = Acted { request_id, arrived, caller, action, decision };
    match recorder.guard.act(acted).settle(outcome, 0) {
        Ok(()) => response,
        Err(error) => {
            tracing::error!(%error, %request_id, "a change could not be recorded");
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The audit trail cannot be written").into_response()
        }
    }
}

fn judged(status: StatusCode) -> (Decision, Outcome) {
    let error = Outcome::Error { code: i64::from(status.as_u16()) };
    match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => (Decision::deny(Reason::NotAuthenticated), error),
        _ if status.is_client_error() => (Decision::deny(Reason::BadRequest), error),
        _ if status.is_server_error() => (Decision::allow(Reason::Proved), error),
        _ => (Decision::allow(Reason::Proved), Outcome::Ok),
    }
}

/// The cookies of an answer as its browser sends them back.
fn given_cookies(response: &Response) -> HeaderMap {
    let pairs = response.headers().get_all(header::SET_COOKIE).iter();
    let pairs = pairs.filter_map(|cookie| cookie.to_str().ok()?.split(';').next());
    let pairs: Vec<&str> = pairs.collect();
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(&pairs.join("; ")) {
        headers.insert(header::COOKIE, value);
    }
    headers
}
