//! `/api/v1/keys`: API keys, one's own or everybody's.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use trunkline_model::{ApiKey, KeyId, KeyOwner, ProfileName, Timestamp};
use trunkline_oauth::keys::{self, NewKey};

use crate::body::Body;
use crate::failure::{forbidden, no_such, unavailable, unfit};
use crate::rotation::Rotation;
use crate::route::Route;
use crate::{Actor, Admin, Needs};

/// The longest name, in characters.
const LONGEST: usize = 100;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/keys", Needs::SignedIn, "API keys: one's own, or all as an auditor", list),
        Route::post(
            "/api/v1/keys",
            Needs::SignedIn,
            "Make a key for oneself, or for anybody as an admin",
            create,
        ),
        Route::post("/api/v1/keys/{id}/rotate", Needs::SignedIn, "Give a key another secret", rotate),
        Route::delete("/api/v1/keys/{id}", Needs::SignedIn, "Revoke a key", revoke),
    ]
}

#[derive(Debug, Serialize)]
struct Keys {
    keys: Vec<Shown>,
}

#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    name: String,
    profile: ProfileName,
    hint: String,
    live: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    owner: Option<KeyOwner>,
    /// What the owner is called: a sign-in name, or `team:` and a name.
    #[serde(skip_serializing_if = "Option::is_none")]
    owner_name: Option<String>,
    created_at: String,
    expires_at: Option<String>,
    revoked_at: Option<String>,
    last_used_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct Made {
    id: String,
    name: String,
    profile: ProfileName,
    /// Shown this once.
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct Rotated {
    id: String,
    /// Shown this once.
    key: String,
    /// Until then the secret before it is good.
    previous_until: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    profile: ProfileName,
    name: String,
    /// `user:ID` or `team:ID`; oneself when absent.
    owner: Option<String>,
    /// How long it is good, in seconds; for ever when absent.
    lifetime_seconds: Option<u64>,
}

fn is_own(actor: &Actor, key: &ApiKey) -> bool {
    actor.user().is_some_and(|user| key.owner == Some(KeyOwner::User(user)))
}

async fn list(State(admin): State<Admin>, actor: Actor) -> Response {
    let now = admin.clock.now();
    let keys = match admin.store.keys().list().await {
        Ok(keys) => keys.into_iter(),
        Err(error) => return unavailable(&error),
    };
    let keys = keys.filter(|key| actor.role().may_read() || is_own(&actor, key)).map(|key| Shown {
        live: key.is_live(now),
        id: key.id.to_string(),
        hint: key.hint,
        owner: key.owner,
        owner_name: key.owner.map(|owner| name_of(&admin, owner)),
        created_at: key.created_at.to_string(),
        expires_at: key.expires_at.as_ref().map(Timestamp::to_string),
        revoked_at: key.revoked_at.as_ref().map(Timestamp::to_string),
        last_used_at: key.last_used_at.as_ref().map(Timestamp::to_string),
        name: key.name,
        profile: key.profile,
    });
    Json(Keys { keys: keys.collect() }).into_response()
}

async fn create(State(admin): State<Admin>, actor: Actor, Body(new): Body<New>) -> Response {
    let name = new.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > LONGEST || name.chars().any(char::is_control) {
        return unfit(format!("a name is one line of 1 to {LONGEST} characters"));
    }
    if new.lifetime_seconds == Some(0) {
        return unfit("a key that has expired already opens nothing");
    }
    let owner = match owner_of(&admin, &actor, new.owner.as_deref()) {
        Ok(owner) => owner,
        Err(answer) => return *answer,
    };
    let profile = admin.hub.profile(new.profile.as_str());
    let Some(profile) = profile.filter(|profile| opens(&admin, &actor, owner, profile.members())) else {
        return no_such("profile", new.profile.as_str());
    };
    let lifetime = new.lifetime_seconds.map(Duration::from_secs);
    let wanted = NewKey { profile: profile.name().clone(), name, owner, lifetime };
    let (key, secret) = wanted.make(&mut rand::rng(), admin.clock.now());
    if let Err(error) = admin.store.keys().insert(&key).await {
        return unavailable(&error);
    }
    admin.take_over().await;
    let made = Made {
        id: key.id.to_string(),
        key: secret.expose().to_owned(),
        expires_at: key.expires_at.as_ref().map(Timestamp::to_string),
        name: key.name,
        profile: key.profile,
    };
    (StatusCode::CREATED, Json(made)).into_response()
}

fn name_of(admin: &Admin, owner: KeyOwner) -> String {
    match owner {
        KeyOwner::User(id) => admin.login_of(id),
        KeyOwner::Team(id) => {
            let team = admin.people.team(id);
            format!("team:{}", team.map_or_else(|| id.to_string(), |team| team.name.clone()))
        }
    }
}

/// Whose key it will be.
fn owner_of(admin: &Admin, actor: &Actor, named: Option<&str>) -> Result<Option<KeyOwner>, Box<Response>> {
    let Some(named) = named else { return Ok(actor.user().map(KeyOwner::User)) };
    if !actor.role().may_administer() {
        return Err(Box::new(forbidden("only an admin makes keys for others")));
    }
    let owner = match named.split_once(':') {
        Some(("user", id)) => {
            id.parse().ok().filter(|id| admin.people.user(*id).is_some()).map(KeyOwner::User)
        }
        Some(("team", id)) => {
            id.parse().ok().filter(|id| admin.people.team(*id).is_some()).map(KeyOwner::Team)
        }
        _ => None,
    };
    owner.map(Some).ok_or_else(|| Box::new(no_such("owner", named)))
}

/// Whether a profile is there for whoever makes a key: admins see all of them.
fn opens(
    admin: &Admin,
    actor: &Actor,
    owner: Option<KeyOwner>,
    members: Option<&trunkline_model::Members>,
) -> bool {
    let Some(KeyOwner::User(id)) = owner.filter(|_| !actor.role().may_administer()) else { return true };
    match actor {
        Actor::Local => true,
        Actor::Person(_) | Actor::Token(_) => admin.people.admits(members, id),
    }
}

/// The key, if whoever asks may change it.
async fn changeable(admin: &Admin, actor: &Actor, id: &str) -> Result<KeyId, Response> {
    let Ok(key) = id.parse() else { return Err(no_such("key", id)) };
    match admin.store.keys().find(key).await {
        Ok(Some(key)) if actor.role().may_administer() || is_own(actor, &key) => Ok(key.id),
        Ok(_) => Err(no_such("key", id)),
        Err(error) => Err(unavailable(&error)),
    }
}

async fn rotate(
    State(admin): State<Admin>,
    Path(id): Path<String>,
    actor: Actor,
    Body(rotation): Body<Rotation>,
) -> Response {
    let until = match rotation.previous_until(admin.clock.now()) {
        Ok(until) => until,
        Err(answer) => return *answer,
    };
    let key = match changeable(&admin, &actor, &id).await {
        Ok(key) => key,
        Err(answer) => return answer,
    };
    let minted = keys::mint(&mut rand::rng());
    match admin.store.keys().rotate(key, minted.hash, &minted.hint, until).await {
        Ok(true) => {
            admin.take_over().await;
            let rotated = Rotated {
                id: key.to_string(),
                key: minted.key.expose().to_owned(),
                previous_until: until.to_string(),
            };
            Json(rotated).into_response()
        }
        Ok(false) => no_such("live key", &id),
        Err(error) => unavailable(&error),
    }
}

async fn revoke(State(admin): State<Admin>, Path(id): Path<String>, actor: Actor) -> Response {
    let key = match changeable(&admin, &actor, &id).await {
        Ok(key) => key,
        Err(answer) => return answer,
    };
    match admin.store.keys().revoke(key, admin.clock.now()).await {
        Ok(_) => {
            admin.take_over().await;
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => unavailable(&error),
    }
}
