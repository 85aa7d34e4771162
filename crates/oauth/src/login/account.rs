//! `/account`: who one is here, where one is signed in, and one's keys.

use std::sync::Arc;
use std::time::Duration;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode};
use trunkline_model::{ApiKey, KeyId, KeyOwner, ProfileName, Secret, SessionId, User};
use trunkline_storage::StoreError;

use super::{Login, Posted, SignedIn, see_other, unavailable};
use crate::keys::NewKey;
use crate::page::{Notice, page};

/// How long a key is good that a person makes here.
const KEY_LIFETIME: Duration = Duration::from_hours(90 * 24);
/// Live keys of one person.
const MOST_KEYS: usize = 50;
const ACCOUNT: HeaderValue = HeaderValue::from_static("/account");

#[derive(Debug, Template)]
#[template(path = "account.html")]
struct AccountPage<'a> {
    token: &'a str,
    user: &'a User,
    teams: Vec<String>,
    groups: Vec<String>,
    sessions: Vec<SessionLine>,
    keys: Vec<KeyLine>,
    profiles: Vec<ProfileName>,
}

#[derive(Debug)]
struct SessionLine {
    id: String,
    browser: String,
    method: String,
    since: String,
    is_this: bool,
}

#[derive(Debug)]
struct KeyLine {
    id: String,
    name: String,
    hint: String,
    profile: String,
    until: String,
    used: String,
}

#[derive(Debug, Template)]
#[template(path = "new_key.html")]
struct NewKeyPage<'a> {
    profile: &'a str,
    key: &'a str,
}

/// `GET /account`
pub(super) async fn show(State(login): State<Arc<Login>>, headers: HeaderMap) -> Response {
    let Some(signed_in) = login.sessions.signed_in(&headers) else { return sign_in_first() };
    let keys = match login.keys_of(&signed_in).await {
        Ok(keys) => keys,
        Err(response) => return response,
    };
    let id = signed_in.user.id;
    let (teams, groups) = login.people.belongs_to(id);
    let sessions = login.people.sessions_of(id).into_iter().map(|session| SessionLine {
        id: session.id.to_string(),
        browser: session.user_agent.clone(),
        method: session.method.clone(),
        since: day(&session.created_at.to_string()),
        is_this: session.id == signed_in.session,
    });
    let token = login.forms.token(&headers);
    let shown = AccountPage {
        token: &token.text,
        user: &signed_in.user,
        teams,
        groups,
        sessions: sessions.collect(),
        keys: keys.iter().map(key_line).collect(),
        profiles: login.profiles_for(&signed_in),
    };
    let response = page(StatusCode::OK, &shown);
    token.keep(response)
}

/// `POST /account/sessions/{id}/revoke`: one's own alone.
pub(super) async fn revoke_session(
    State(login): State<Arc<Login>>,
    Path(id): Path<String>,
    posted: Posted,
) -> Response {
    let Some(signed_in) = login.sessions.signed_in(&posted.headers) else { return sign_in_first() };
    let id: Option<SessionId> = id.parse().ok();
    let own = login.people.sessions_of(signed_in.user.id);
    let Some(session) = own.iter().find(|session| Some(session.id) == id) else { return no_such("session") };
    match login.sessions.sign_out(session.id).await {
        Ok(_) => see_other(ACCOUNT),
        Err(error) => unavailable(error),
    }
}

/// `POST /account/keys`: a key for a profile that admits the person.
pub(super) async fn create_key(State(login): State<Arc<Login>>, posted: Posted) -> Response {
    let Some(signed_in) = login.sessions.signed_in(&posted.headers) else { return sign_in_first() };
    let wanted = posted.text("profile").and_then(|name| ProfileName::new(name).ok());
    let profile = wanted.filter(|profile| login.profiles_for(&signed_in).contains(profile));
    let Some(profile) = profile else { return no_such("profile") };
    match login.make_key(&signed_in, &profile, posted.text("name")).await {
        Ok(secret) => page(StatusCode::OK, &NewKeyPage { profile: profile.as_str(), key: secret.expose() }),
        Err(response) => response,
    }
}

/// `POST /account/keys/{id}/revoke`: one's own alone.
pub(super) async fn revoke_key(
    State(login): State<Arc<Login>>,
    Path(id): Path<String>,
    posted: Posted,
) -> Response {
    let Some(signed_in) = login.sessions.signed_in(&posted.headers) else { return sign_in_first() };
    let id: Option<KeyId> = id.parse().ok();
    let own = match login.keys_of(&signed_in).await {
        Ok(keys) => keys,
        Err(response) => return response,
    };
    let Some(key) = own.iter().find(|key| Some(key.id) == id) else { return no_such("key") };
    match login.revoke(key).await {
        Ok(()) => see_other(ACCOUNT),
        Err(error) => unavailable(error),
    }
}

impl Login {
    /// The person's keys that open something.
    async fn keys_of(&self, signed_in: &SignedIn) -> Result<Vec<ApiKey>, Response> {
        let (owner, now) = (Some(KeyOwner::User(signed_in.user.id)), self.now());
        let keys = self.store.keys().list().await.map_err(unavailable)?;
        Ok(keys.into_iter().filter(|key| key.owner == owner && key.is_live(now)).collect())
    }

    /// Revokes a key; it opens nothing once this has returned.
    async fn revoke(&self, key: &ApiKey) -> Result<(), StoreError> {
        self.store.keys().revoke(key.id, self.now()).await?;
        self.resource.catch_up().await
    }

    /// The profiles for which the person may have a key.
    fn profiles_for(&self, signed_in: &SignedIn) -> Vec<ProfileName> {
        let profiles = self.profiles.load();
        let admitted =
            profiles.iter().filter(|(_, members)| self.people.admits(members.as_ref(), signed_in.user.id));
        admitted.map(|(name, _)| name.clone()).collect()
    }

    async fn make_key(
        &self,
        signed_in: &SignedIn,
        profile: &ProfileName,
        name: Option<&str>,
    ) -> Result<Secret, Response> {
        if self.keys_of(signed_in).await?.len() >= MOST_KEYS {
            let text = "You have very many keys. Revoke some that you do not need.".to_owned();
            let link = Some(("Back".to_owned(), "/account".to_owned()));
            return Err(page(StatusCode::CONFLICT, &Notice { title: "No more keys".to_owned(), text, link }));
        }
        let name: String =
            name.unwrap_or("unnamed").chars().filter(|character| !character.is_control()).take(100).collect();
        let wanted = NewKey {
            profile: profile.clone(),
            name,
            owner: Some(KeyOwner::User(signed_in.user.id)),
            lifetime: Some(KEY_LIFETIME),
        };
        let (key, secret) = wanted.make(&mut rand::rng(), self.now());
        self.store.keys().insert(&key).await.map_err(unavailable)?;
        if let Err(error) = self.resource.catch_up().await {
            // It is made, and shown this once. Memory follows by itself.
            tracing::warn!(%error, "a new key counts as soon as the keys can be read again");
        }
        Ok(secret)
    }
}

fn key_line(key: &ApiKey) -> KeyLine {
    let day_of = |time: trunkline_model::Timestamp| day(&time.to_string());
    KeyLine {
        id: key.id.to_string(),
        name: key.name.clone(),
        hint: key.hint.clone(),
        profile: key.profile.to_string(),
        until: key.expires_at.map_or_else(|| "for ever".to_owned(), |end| format!("until {}", day_of(end))),
        used: key
            .last_used_at
            .map_or_else(|| "never used".to_owned(), |at| format!("last used {}", day_of(at))),
    }
}

/// The date of an RFC 3339 time.
fn day(time: &str) -> String {
    time.split('T').next().unwrap_or(time).to_owned()
}

fn sign_in_first() -> Response {
    see_other(HeaderValue::from_static("/login?next=/account"))
}

/// What is not there, or not theirs.
fn no_such(noun: &str) -> Response {
    let link = Some(("Back".to_owned(), "/account".to_owned()));
    let notice = Notice {
        title: format!("There is no such {noun}"),
        text: format!("No {noun} of yours has that name."),
        link,
    };
    page(StatusCode::NOT_FOUND, &notice)
}
