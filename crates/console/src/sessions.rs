//! `/api/v1/sessions`: who is signed in, in which browser.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::Serialize;
use trunkline_model::{BrowserSession, Role, UserId};

use crate::failure::{no_such, unavailable};
use crate::route::Route;
use crate::{Actor, Admin, Needs};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/api/v1/sessions",
            Needs::SignedIn,
            "Browser sessions: one's own, or all as an auditor",
            list,
        ),
        Route::delete("/api/v1/sessions/{id}", Needs::SignedIn, "End a session", end),
        Route::delete(
            "/api/v1/users/{id}/sessions",
            Needs::SignedIn,
            "End all sessions of a user: one's own, or anybody's below as an admin; servers are not shown them any more",
            end_all,
        ),
    ]
}

#[derive(Debug, Serialize)]
struct Sessions {
    sessions: Vec<Shown>,
}

#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    user: String,
    /// What the user signs in with.
    login: String,
    method: String,
    user_agent: String,
    created_at: String,
    seen_at: String,
    expires_at: String,
}

async fn live(admin: &Admin) -> Result<Vec<BrowserSession>, Response> {
    let sessions = admin.store.browser_sessions().live(admin.clock.now()).await;
    let sessions = sessions.map_err(|error| unavailable(&error))?;
    Ok(sessions.into_iter().map(|(_, session)| session).collect())
}

async fn list(State(admin): State<Admin>, actor: Actor) -> Response {
    let sessions = match live(&admin).await {
        Ok(sessions) => sessions.into_iter(),
        Err(answer) => return answer,
    };
    let visible = sessions.filter(|session| actor.role().may_read() || actor.user() == Some(session.user));
    let sessions = visible.map(|session| Shown {
        id: session.id.to_string(),
        user: session.user.to_string(),
        login: admin.login_of(session.user),
        created_at: session.created_at.to_string(),
        seen_at: session.seen_at.to_string(),
        expires_at: session.expires_at.to_string(),
        method: session.method,
        user_agent: session.user_agent,
    });
    Json(Sessions { sessions: sessions.collect() }).into_response()
}

async fn end(State(admin): State<Admin>, Path(id): Path<String>, actor: Actor) -> Response {
    let sessions = match live(&admin).await {
        Ok(sessions) => sessions,
        Err(answer) => return answer,
    };
    let session = sessions.iter().find(|session| id.parse() == Ok(session.id));
    let Some(session) = session.filter(|session| may_end(&admin, &actor, session.user)) else {
        return no_such("session", &id);
    };
    match admin.store.browser_sessions().revoke(session.id, admin.clock.now()).await {
        Ok(_) => {
            admin.take_over().await;
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => unavailable(&error),
    }
}

#[derive(Debug, Serialize)]
struct Ended {
    ended: u64,
}

/// `DELETE /api/v1/users/{id}/sessions`: with them goes what servers are
/// shown of the user's sign-ins.
async fn end_all(State(admin): State<Admin>, Path(id): Path<String>, actor: Actor) -> Response {
    let user =
        id.parse().ok().filter(|user| admin.people.user(*user).is_some() && may_end(&admin, &actor, *user));
    let Some(user) = user else { return no_such("user", &id) };
    match admin.store.browser_sessions().revoke_all_of(user, admin.clock.now()).await {
        Ok(ended) => {
            admin.take_over().await;
            Json(Ended { ended }).into_response()
        }
        Err(error) => unavailable(&error),
    }
}

/// One's own, or as an admin that of anybody who is not above.
fn may_end(admin: &Admin, actor: &Actor, user: UserId) -> bool {
    let role = admin.people.user(user).map_or(Role::Member, |user| user.role);
    actor.user() == Some(user) || (actor.role().may_administer() && role <= actor.role())
}
