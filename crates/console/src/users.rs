//! `/api/v1/users`: people and service accounts.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use trunkline_model::{Role, Timestamp, User, UserId, UserKind};
use trunkline_oauth::login::{make_link, new_user_id};
use trunkline_storage::{Changed, StoreError, UserChange};

use crate::body::Body;
use crate::failure::{conflict, forbidden, no_such, unavailable, unfit};
use crate::route::Route;
use crate::{Actor, Admin, Needs};

/// The longest sign-in name and the longest name, in characters.
const LONGEST: usize = 200;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/users", Needs::Read, "Users and service accounts", list),
        Route::post("/api/v1/users", Needs::Administer, "Make a user or a service account", create),
        Route::get(
            "/api/v1/users/{id}",
            Needs::SignedIn,
            "One user: oneself, or anybody as an auditor",
            show,
        ),
        Route::patch("/api/v1/users/{id}", Needs::Administer, "Change a user's name, role or state", change),
        Route::delete(
            "/api/v1/users/{id}",
            Needs::Administer,
            "Delete a user with all that is theirs",
            delete,
        ),
        Route::post(
            "/api/v1/users/{id}/link",
            Needs::Administer,
            "Make a link that signs a user in, once",
            link,
        ),
        Route::post(
            "/api/v1/users/{id}/reset",
            Needs::Administer,
            "End a user's password and sessions, and make a link that signs them in, once",
            reset,
        ),
    ]
}

#[derive(Debug, Serialize)]
struct Users {
    users: Vec<Shown>,
}

#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    kind: UserKind,
    login: String,
    name: String,
    role: Role,
    teams: Vec<String>,
    groups: Vec<String>,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct Link {
    /// Signs the user in, once.
    link: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    login: String,
    name: Option<String>,
    #[serde(default = "member")]
    role: Role,
    #[serde(default = "person")]
    kind: UserKind,
}

const fn member() -> Role {
    Role::Member
}

const fn person() -> UserKind {
    UserKind::Person
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: Option<String>,
    role: Option<Role>,
    disabled: Option<bool>,
}

fn shown(admin: &Admin, user: &User) -> Shown {
    let (teams, groups) = admin.people.belongs_to(user.id);
    Shown {
        id: user.id.to_string(),
        kind: user.kind,
        login: user.login.clone(),
        name: user.name.clone(),
        role: user.role,
        teams,
        groups,
        created_at: user.created_at.to_string(),
        disabled_at: user.disabled_at.as_ref().map(Timestamp::to_string),
    }
}

async fn list(State(admin): State<Admin>) -> Response {
    match admin.store.users().list().await {
        Ok(users) => {
            Json(Users { users: users.iter().map(|user| shown(&admin, user)).collect() }).into_response()
        }
        Err(error) => unavailable(&error),
    }
}

async fn show(State(admin): State<Admin>, Path(id): Path<String>, actor: Actor) -> Response {
    let may = |id: &UserId| actor.role().may_read() || actor.user() == Some(*id);
    let user = id.parse().ok().filter(may).and_then(|id| admin.people.user(id));
    std::future::ready(match user {
        Some(user) => Json(shown(&admin, &user)).into_response(),
        None => no_such("user", &id),
    })
    .await
}

async fn create(State(admin): State<Admin>, actor: Actor, Body(new): Body<New>) -> Response {
    let login = new.login.trim().to_lowercase();
    let name = new.name.unwrap_or_else(|| login.clone());
    if [&login, &name].into_iter().any(|text| !is_line(text)) || login.contains(char::is_whitespace) {
        return unfit(format!(
            "login and name are one line of 1 to {LONGEST} characters, the login without spaces"
        ));
    }
    if new.role == Role::Owner && actor.role() != Role::Owner {
        return forbidden("only an owner makes owners");
    }
    let now = admin.clock.now();
    let user = User {
        id: new_user_id(now),
        kind: new.kind,
        login,
        name,
        role: new.role,
        created_at: now,
        disabled_at: None,
    };
    match admin.store.users().insert_new(&user).await {
        Ok(true) => {}
        Ok(false) => return conflict(format!("there is a user {:?} already", user.login)),
        Err(error) => return unavailable(&error),
    }
    admin.take_over().await;
    (StatusCode::CREATED, Json(shown(&admin, &user))).into_response()
}

fn is_line(text: &str) -> bool {
    let length = text.chars().count();
    (1..=LONGEST).contains(&length) && !text.chars().any(char::is_control)
}

async fn change(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    actor: Actor,
    Body(wanted): Body<Wanted>,
) -> Response {
    let Ok(user) = id.parse() else { return no_such("user", &id) };
    if wanted.name.as_deref().is_some_and(|name| !is_line(name)) {
        return unfit(format!("a name is one line of 1 to {LONGEST} characters"));
    }
    let change = UserChange { login: None, name: wanted.name, role: wanted.role, disabled: wanted.disabled };
    let changed = admin.store.users().change(user, change, actor.role(), admin.clock.now()).await;
    match done(changed, &id) {
        Ok(user) => {
            admin.take_over().await;
            Json(shown(&admin, &user)).into_response()
        }
        Err(answer) => answer,
    }
}

async fn delete(State(admin): State<Admin>, Path(id): Path<String>, actor: Actor) -> Response {
    let Ok(user) = id.parse() else { return no_such("user", &id) };
    match done(admin.store.users().delete(user, actor.role(), admin.clock.now()).await, &id) {
        Ok(_) => {
            admin.take_over().await;
            StatusCode::NO_CONTENT.into_response()
        }
        Err(answer) => answer,
    }
}

/// The user that was changed, or the answer that says why none was.
#[expect(clippy::result_large_err, reason = "the error is the answer")]
fn done(changed: Result<Changed, StoreError>, id: &str) -> Result<User, Response> {
    match changed {
        Ok(Changed::Done(user)) => Ok(user),
        Ok(Changed::Absent) => Err(no_such("user", id)),
        Ok(Changed::LastOwner) => {
            Err(conflict("this is the last owner who can sign in; make another user an owner first"))
        }
        Ok(Changed::Forbidden) => Err(forbidden("that takes a higher role")),
        Ok(Changed::LoginTaken) => Err(conflict("somebody else has that login")),
        Err(error) => Err(unavailable(&error)),
    }
}

async fn link(State(admin): State<Admin>, Path(id): Path<String>, actor: Actor) -> Response {
    match who_may_sign_in(&admin, &actor, &id) {
        Ok(user) => made_link(&admin, &user).await,
        Err(answer) => *answer,
    }
}

async fn reset(State(admin): State<Admin>, Path(id): Path<String>, actor: Actor) -> Response {
    let user = match who_may_sign_in(&admin, &actor, &id) {
        Ok(user) => user,
        Err(answer) => return *answer,
    };
    if let Err(error) = admin.store.users().set_password(user.id, None, admin.clock.now()).await {
        return unavailable(&error);
    }
    admin.take_over().await;
    made_link(&admin, &user).await
}

/// The user for whom a link can be made. Whoever has the link is the user:
/// there is none for somebody above whoever asks.
fn who_may_sign_in(admin: &Admin, actor: &Actor, id: &str) -> Result<Arc<User>, Box<Response>> {
    let user = id.parse().ok().and_then(|id| admin.people.user(id));
    let Some(user) = user else { return Err(Box::new(no_such("user", id))) };
    if user.role > actor.role() {
        return Err(Box::new(forbidden("that takes a higher role")));
    }
    match (user.kind, user.disabled_at) {
        (UserKind::Service, _) => {
            Err(Box::new(conflict(format!("{:?} is a service account; nobody signs in as it", user.login))))
        }
        (UserKind::Person, Some(_)) => {
            Err(Box::new(conflict(format!("{:?} is disabled; enable the user first", user.login))))
        }
        (UserKind::Person, None) => Ok(user),
    }
}

async fn made_link(admin: &Admin, user: &User) -> Response {
    match make_link(&admin.store, &admin.public_url, user.id, admin.clock.now()).await {
        Ok(link) => (StatusCode::CREATED, Json(Link { link: link.expose().to_owned() })).into_response(),
        Err(error) => unavailable(&error),
    }
}
