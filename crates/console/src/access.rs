//! Who may do what in the admin API: one check for every route, made of the
//! route's entry in the table of routes.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use trunkline_model::{Action, Decision, Outcome, Principal, Reason, Role, Timestamp, UserId};
use trunkline_oauth::login::SignedIn;
use trunkline_oauth::metadata::admin_api_url;
use trunkline_oauth::resource::Administrator;
use trunkline_oauth::scope;
use trunkline_profiles::{Acted, RefusedRequest};
use trunkline_web::{Problem, RequestId};
use uuid::Uuid;

use crate::Admin;

/// A route that changes nothing: it hastens what happens anyway, and commands
/// call it each time.
const HASTENING: &str = "/api/v1/audit/flush";

/// What a route asks of whoever calls it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// To be signed in; the handler shows people what is theirs.
    SignedIn,
    /// [`Role::may_read`].
    Read,
    /// [`Role::may_operate`].
    Operate,
    /// [`Role::may_administer`].
    Administer,
}

/// Where a request came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// The control socket, which only the owner of the data directory can open.
    ControlSocket,
    /// The hub's listener: whoever is signed in, or has an access token for it.
    Listener,
}

/// Who asks. A handler takes it as an extractor.
#[derive(Debug, Clone)]
pub enum Actor {
    /// Whoever could open the control socket: as good as an owner.
    Local,
    /// A person, signed in.
    Person(SignedIn),
    /// A user, through a client with an access token.
    Token(Administrator),
}

/// What the check of one route needs.
#[derive(Debug, Clone)]
pub(crate) struct Check {
    pub(crate) admin: Admin,
    pub(crate) door: Door,
    pub(crate) needs: Needs,
}

/// Why nobody is let through. The words are for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Refused {
    #[error(
        "sign in at /login, send an access token for the admin API, or use the command line beside the hub"
    )]
    NotSignedIn,
    #[error("{0}")]
    Credential(trunkline_oauth::Refused),
    #[error("changes are taken from pages of this hub alone")]
    ForeignPage,
    #[error("this needs the role {needed}; yours is {}", .role.as_str())]
    RoleTooLow { role: Role, needed: &'static str },
}

impl Needs {
    fn is_met_by(self, role: Role) -> bool {
        match self {
            Self::SignedIn => true,
            Self::Read => role.may_read(),
            Self::Operate => role.may_operate(),
            Self::Administer => role.may_administer(),
        }
    }

    /// The least of the roles that are enough.
    pub(crate) const fn least_role(self) -> &'static str {
        match self {
            Self::SignedIn => "member",
            Self::Read => "auditor",
            Self::Operate => "operator",
            Self::Administer => "admin",
        }
    }
}

impl Actor {
    /// The role that counts.
    pub fn role(&self) -> Role {
        match self {
            Self::Local => Role::Owner,
            Self::Person(signed_in) => signed_in.user.role,
            // As it is now, whatever it was when the token was issued.
            Self::Token(administrator) => administrator.user.role,
        }
    }

    /// The user who asks; none on the control socket.
    pub fn user(&self) -> Option<UserId> {
        match self {
            Self::Local => None,
            Self::Person(signed_in) => Some(signed_in.user.id),
            Self::Token(administrator) => Some(administrator.user.id),
        }
    }

    pub(crate) fn principal(&self) -> Principal {
        match self {
            Self::Local => Principal::Local,
            Self::Person(signed_in) => Principal::Person {
                id: signed_in.user.id,
                name: signed_in.user.login.as_str().into(),
                session: signed_in.session,
            },
            Self::Token(administrator) => Principal::User {
                id: administrator.user.id,
                name: administrator.user.login.as_str().into(),
                client: Arc::clone(&administrator.client),
                grant: administrator.grant,
            },
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Actor {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let missing =
            || Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal error").detail("nobody was checked");
        std::future::ready(parts.extensions.get().cloned().ok_or_else(missing)).await
    }
}

impl Refused {
    fn reason(self) -> Reason {
        match self {
            Self::NotSignedIn => Reason::NotAuthenticated,
            Self::Credential(refused) => refused.reason(),
            Self::ForeignPage => Reason::BadRequest,
            Self::RoleTooLow { .. } => Reason::RoleTooLow,
        }
    }

    /// The answer; `metadata` is where clients learn how to get a token.
    fn problem(self, metadata: &str) -> Response {
        let (status, title) = match self {
            Self::NotSignedIn => (StatusCode::UNAUTHORIZED, "Not signed in"),
            Self::Credential(refused) => (refused.status(), "Not a credential for this"),
            Self::ForeignPage => (StatusCode::FORBIDDEN, "Foreign page"),
            Self::RoleTooLow { .. } => (StatusCode::FORBIDDEN, "Not allowed"),
        };
        let mut response = Problem::new(status, title).detail(self.to_string()).into_response();
        let refused = match self {
            Self::NotSignedIn => {
                // RFC 9110 section 15.5.2 asks for a challenge; no browser opens a dialogue for this one.
                let session = HeaderValue::from_static("Session realm=\"trunkline\"");
                response.headers_mut().append(header::WWW_AUTHENTICATE, session);
                Some(trunkline_oauth::Refused::NotSignedIn)
            }
            Self::Credential(refused) => Some(refused),
            Self::ForeignPage | Self::RoleTooLow { .. } => None,
        };
        if let Some(challenge) =
            refused.and_then(|refused| refused.challenge_for(Some(metadata), scope::ADMIN))
        {
            response.headers_mut().append(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// Lets a request to its route, or answers in its place. What changes
/// something, and what is refused, stands in the trail before the answer leaves.
pub(crate) async fn admit(
    State(check): State<Check>,
    mut request: Request,
    next: Next,
) -> Result<Response, Infallible> {
    let arrived = check.admin.clock.now();
    let actor = match check.who(&request) {
        Ok(actor) => actor,
        Err((caller, refused)) => return Ok(check.refuse(&request, arrived, caller, refused)),
    };
    if request.method().is_safe() || route_of(&request) == HASTENING {
        request.extensions_mut().insert(actor);
        return Ok(next.run(request).await);
    }
    let acted = Acted {
        request_id: request_id(&request),
        arrived,
        caller: Some(actor.principal()),
        action: action_of(&request),
        decision: Decision::allow(Reason::RoleAllows),
    };
    // Begun before the handler runs, so that an action whose client goes away is recorded too.
    let recording = check.admin.guard.act(acted);
    request.extensions_mut().insert(actor);
    let response = next.run(request).await;
    let outcome = if response.status().is_client_error() || response.status().is_server_error() {
        Outcome::Error { code: i64::from(response.status().as_u16()) }
    } else {
        Outcome::Ok
    };
    Ok(match recording.settle(outcome, 0) {
        Ok(()) => response,
        Err(error) => unrecorded(&error),
    })
}

impl Check {
    fn who(&self, request: &Request) -> Result<Actor, (Option<Principal>, Refused)> {
        if self.door == Door::ControlSocket {
            return Ok(Actor::Local);
        }
        let actor = match self.admin.resource.administrator(request.headers()) {
            Ok(Some(administrator)) => Actor::Token(administrator),
            // A cookie beside it does not help: whoever sends a credential means it.
            Err(refused) => return Err((None, Refused::Credential(refused))),
            Ok(None) => self.signed_in(request)?,
        };
        let role = actor.role();
        if self.needs.is_met_by(role) {
            Ok(actor)
        } else {
            let refused = Refused::RoleTooLow { role, needed: self.needs.least_role() };
            Err((Some(actor.principal()), refused))
        }
    }

    fn signed_in(&self, request: &Request) -> Result<Actor, (Option<Principal>, Refused)> {
        let signed_in =
            self.admin.sessions.signed_in(request.headers()).ok_or((None, Refused::NotSignedIn))?;
        let actor = Actor::Person(signed_in);
        if request.method().is_safe() || self.is_own_page(request) {
            Ok(actor)
        } else {
            Err((Some(actor.principal()), Refused::ForeignPage))
        }
    }

    /// Whether a browser says that a page of the hub itself sends this: a
    /// cookie comes along whoever made the browser send a request.
    fn is_own_page(&self, request: &Request) -> bool {
        let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
        match header("sec-fetch-site") {
            Some(site) => site == "same-origin",
            None => header("origin") == Some(self.admin.public_url.as_str()),
        }
    }

    fn refuse(
        &self,
        request: &Request,
        arrived: Timestamp,
        caller: Option<Principal>,
        refused: Refused,
    ) -> Response {
        let recorded = self.admin.guard.refuse(RefusedRequest {
            request_id: request_id(request),
            arrived,
            profile: None,
            caller,
            action: action_of(request),
            decision: Decision::deny(refused.reason()),
            detail: refused.to_string(),
            request_bytes: 0,
        });
        match recorded {
            Ok(()) => refused.problem(&admin_api_url(self.admin.base.seen_in(request.headers()))),
            Err(error) => unrecorded(&error),
        }
    }
}

fn route_of(request: &Request) -> &str {
    request.extensions().get::<MatchedPath>().map_or("/api/v1", MatchedPath::as_str)
}

/// The route is the method, the path as sent the target.
fn action_of(request: &Request) -> Action {
    Action {
        method: format!("{} {}", request.method(), route_of(request)),
        server: None,
        target: Some(request.uri().path().to_owned()),
        shown_as: None,
    }
}

fn request_id(request: &Request) -> Uuid {
    request.extensions().get::<RequestId>().map_or_else(Uuid::now_v7, |id| id.0)
}

fn unrecorded(error: &trunkline_profiles::AuditUnavailable) -> Response {
    tracing::error!(%error, "an action in the admin API could not be recorded");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "The audit trail cannot be written").into_response()
}
