//! `/api/v1/teams`: users under one name.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use trunkline_model::{Team, TeamId, UserId};
use trunkline_oauth::login::new_team_id;
use trunkline_storage::StoreError;

use crate::body::Body;
use crate::failure::{conflict, no_such, unavailable, unfit};
use crate::route::Route;
use crate::{Admin, Needs};

/// The longest name, in characters.
const LONGEST: usize = 100;

pub(crate) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/teams", Needs::Read, "Teams and their members", list),
        Route::post("/api/v1/teams", Needs::Administer, "Make a team", create),
        Route::delete("/api/v1/teams/{id}", Needs::Administer, "Delete a team and its keys", delete),
        Route::put("/api/v1/teams/{id}/members/{user}", Needs::Administer, "Add a user to a team", join),
        Route::delete(
            "/api/v1/teams/{id}/members/{user}",
            Needs::Administer,
            "Take a user out of a team",
            leave,
        ),
    ]
}

#[derive(Debug, Serialize)]
struct Teams {
    teams: Vec<Shown>,
}

#[derive(Debug, Serialize)]
struct Shown {
    id: String,
    name: String,
    members: Vec<Member>,
    created_at: String,
}

#[derive(Debug, Serialize)]
struct Member {
    id: String,
    /// What the user signs in with.
    login: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: String,
}

async fn list(State(admin): State<Admin>) -> Response {
    match all(&admin).await {
        Ok(teams) => Json(Teams { teams }).into_response(),
        Err(error) => unavailable(&error),
    }
}

async fn all(admin: &Admin) -> Result<Vec<Shown>, StoreError> {
    let members = admin.store.teams().members().await?;
    let teams = admin.store.teams().list().await?.into_iter();
    Ok(teams
        .map(|team| {
            let of_team = members.iter().filter(|(known, _)| *known == team.id);
            Shown {
                members: of_team
                    .map(|(_, user)| Member { id: user.to_string(), login: admin.login_of(*user) })
                    .collect(),
                id: team.id.to_string(),
                name: team.name,
                created_at: team.created_at.to_string(),
            }
        })
        .collect())
}

async fn create(State(admin): State<Admin>, Body(new): Body<New>) -> Response {
    let name = new.name.trim().to_owned();
    if name.is_empty() || name.chars().count() > LONGEST || name.chars().any(char::is_control) {
        return unfit(format!("a name is one line of 1 to {LONGEST} characters"));
    }
    let now = admin.clock.now();
    let team = Team { id: new_team_id(now), name, created_at: now };
    match admin.store.teams().insert(&team).await {
        Ok(true) => {}
        Ok(false) => return conflict(format!("there is a team {:?} already", team.name)),
        Err(error) => return unavailable(&error),
    }
    admin.take_over().await;
    let shown = Shown {
        id: team.id.to_string(),
        name: team.name,
        members: Vec::new(),
        created_at: team.created_at.to_string(),
    };
    (StatusCode::CREATED, Json(shown)).into_response()
}

async fn delete(State(admin): State<Admin>, Path(id): Path<String>) -> Response {
    let Ok(team) = id.parse() else { return no_such("team", &id) };
    match admin.store.teams().delete(team).await {
        Ok(true) => {
            admin.take_over().await;
            StatusCode::NO_CONTENT.into_response()
        }
        Ok(false) => no_such("team", &id),
        Err(error) => unavailable(&error),
    }
}

async fn join(State(admin): State<Admin>, Path((id, user)): Path<(String, String)>) -> Response {
    let (team, member) = match both(&admin, &id, &user) {
        Ok(both) => both,
        Err(answer) => return *answer,
    };
    settled(&admin, admin.store.teams().join(team, member).await.map(drop)).await
}

async fn leave(State(admin): State<Admin>, Path((id, user)): Path<(String, String)>) -> Response {
    let (team, member) = match both(&admin, &id, &user) {
        Ok(both) => both,
        Err(answer) => return *answer,
    };
    settled(&admin, admin.store.teams().leave(team, member).await.map(drop)).await
}

fn both(admin: &Admin, id: &str, user: &str) -> Result<(TeamId, UserId), Box<Response>> {
    let team = id.parse().ok().filter(|team| admin.people.team(*team).is_some());
    let member = user.parse().ok().filter(|user| admin.people.user(*user).is_some());
    match (team, member) {
        (Some(team), Some(member)) => Ok((team, member)),
        (None, _) => Err(Box::new(no_such("team", id))),
        (Some(_), None) => Err(Box::new(no_such("user", user))),
    }
}

async fn settled(admin: &Admin, outcome: Result<(), StoreError>) -> Response {
    match outcome {
        Ok(()) => {
            admin.take_over().await;
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => unavailable(&error),
    }
}
