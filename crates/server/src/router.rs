//! Every route of the hub's listener.

use std::pin::Pin;
use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use axum::{Json, Router};
use trunkline_console::{Admin, Door};
use trunkline_mcp_hub::Hub;
use trunkline_model::{Action, Clock, Decision, ProfileAuth, Reason, SystemClock};
use trunkline_oauth::Base;
use trunkline_oauth::client::Pages;
use trunkline_oauth::login::Forms;
use trunkline_oauth::metadata::{admin_api, protected_resource};
use trunkline_oauth::server::AuthorizationServer;
use trunkline_profiles::{Guard, RefusedRequest};
use trunkline_web::gate::GateRefusal;
use trunkline_web::{Gate, Problem, ReadableByPages, RequestId, TrustedProxies};
use url::Url;
use uuid::Uuid;

use crate::core::Core;
use crate::recorded::Recorder;

/// What a person sees who opens the address in a browser.
const GREETING: &str = concat!(
    "Trunkline ",
    env!("CARGO_PKG_VERSION"),
    "\n\nThis is an MCP hub. Each profile has an endpoint at /mcp/{profile};\n",
    "`trunkline connect CLIENT --profile NAME` prints what your client needs.\n"
);

#[derive(Debug, Clone)]
struct WellKnown {
    hub: Arc<Hub>,
    base: Base,
}

/// The routes, behind the checks that every request passes.
pub(crate) fn router(
    core: &Core,
    public_url: &Url,
    admin: Admin,
    authorization: &Arc<AuthorizationServer>,
    gate: Gate,
    proxies: &TrustedProxies,
) -> Router {
    let hub = &core.hub;
    let clock = Arc::clone(&admin.clock);
    let well_known = WellKnown { hub: Arc::clone(hub), base: core.base.clone() };
    let pages = Pages {
        connections: Arc::clone(&admin.connections),
        sessions: Arc::clone(&admin.sessions),
        forms: Forms::new(public_url),
    };
    let recorder = Recorder {
        guard: Arc::clone(&admin.guard),
        sessions: Arc::clone(&admin.sessions),
        clock: Arc::clone(&clock),
    };
    let who_is_asking = trunkline_oauth::login::router(Arc::clone(&core.login))
        .merge(trunkline_oauth::scim::router(core.scim(public_url)))
        .merge(authorization.routes_for_people())
        .merge(trunkline_oauth::client::routes(pages));
    let for_clients = Router::new()
        .route("/.well-known/oauth-protected-resource/mcp/{profile}", get(resource_metadata))
        .route("/.well-known/oauth-protected-resource/api/v1", get(admin_api_metadata))
        .with_state(well_known)
        .merge(proxies.clone().around(recorder.clone().around(authorization.routes_for_clients())))
        .merge(trunkline_mcp_hub::router(Arc::clone(hub)))
        // Some clients are pages. Those of foreign origins do not come past the gate.
        .layer(ReadableByPages);
    let router = Router::new()
        .route("/", get(async || GREETING))
        .merge(for_clients)
        .merge(trunkline_oauth::page::router())
        // What is counted by address is counted by the client's.
        .merge(proxies.clone().around(recorder.around(who_is_asking)))
        .merge(trunkline_console::router(admin, Door::Listener))
        .fallback(nothing_here);
    let probed = trunkline_web::front(probes(), gate.clone().for_any_host(), Arc::clone(&clock));
    trunkline_web::front(router, gate, clock).merge(probed)
}

/// What an orchestrator asks, by an address that no configuration knows. The
/// answers say nothing that such a caller does not see from having one.
fn probes() -> Router {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        // About this process alone: servers that fail must not take the hub out of a load balancer.
        .route("/readyz", get(async || "ok\n"))
}

/// Writes what the gate refuses to the trail, before the answer leaves.
pub(crate) fn record_refusal(guard: Arc<Guard>) -> impl Fn(GateRefusal, &Request) -> BoxedEnd + Send + Sync {
    move |refusal, request| {
        let guard = Arc::clone(&guard);
        let request_id = request.extensions().get::<RequestId>().map_or_else(Uuid::now_v7, |id| id.0);
        let method = request.method().as_str().to_owned();
        Box::pin(async move {
            let refused = RefusedRequest {
                request_id,
                arrived: SystemClock.now(),
                profile: None,
                caller: None,
                action: Action { method, server: None, target: None, shown_as: None },
                decision: Decision::deny(Reason::BadRequest),
                detail: refusal.to_string(),
                request_bytes: 0,
            };
            if let Err(error) = guard.refuse(refused) {
                tracing::error!(%error, %request_id, "a refusal is not in the audit trail");
            }
        })
    }
}

type BoxedEnd = Pin<Box<dyn Future<Output = ()> + Send>>;

/// RFC 9728: where a client of an `auth: oauth` profile signs in.
async fn resource_metadata(
    State(state): State<WellKnown>,
    Path(profile): Path<String>,
    headers: HeaderMap,
) -> Response {
    let profile = state.hub.profile(&profile).filter(|profile| profile.auth() == ProfileAuth::Oauth);
    let answer = match profile {
        Some(profile) => {
            Json(protected_resource(state.base.seen_in(&headers), profile.name())).into_response()
        }
        None => not_found("no profile with sign-in has that name"),
    };
    std::future::ready(answer).await
}

/// RFC 9728: where a client of the admin API gets its token.
async fn admin_api_metadata(State(state): State<WellKnown>, headers: HeaderMap) -> Response {
    std::future::ready(Json(admin_api(state.base.seen_in(&headers))).into_response()).await
}

async fn nothing_here() -> Response {
    std::future::ready(not_found("MCP endpoints are at /mcp/{profile}")).await
}

fn not_found(detail: &str) -> Response {
    Problem::new(StatusCode::NOT_FOUND, "Not found").detail(detail.to_owned()).into_response()
}
