//! Browser sessions: a cookie that says who is signed in.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use trunkline_model::{BrowserSession, Clock, SessionId, User};
use trunkline_storage::{IssuerSession, NewSession, Store, StoreError};
use trunkline_web::Tasks;
use url::Url;

use super::cookie::Cookie;
use crate::keys::{Form, Minted};
use crate::people::People;
use crate::uses::Uses;

/// How long a session lasts at most.
const LIFETIME: Duration = Duration::from_hours(7 * 24);
/// How long a session lasts that nobody uses.
const IDLE: Duration = Duration::from_hours(12);
/// How old the written time of the last use gets. Each writing makes every
/// process read the sessions again.
const SEEN_INTERVAL: Duration = Duration::from_mins(10);
const WRITE_INTERVAL: Duration = Duration::from_mins(1);
const USER_AGENT_LENGTH: usize = 200;

/// Makes sessions and recognises them.
#[derive(Debug)]
pub struct Sessions {
    store: Arc<Store>,
    people: Arc<People>,
    clock: Arc<dyn Clock>,
    cookie: Cookie,
    uses: Uses<SessionId>,
}

/// The person in front of a browser.
#[derive(Debug, Clone)]
pub struct SignedIn {
    pub user: Arc<User>,
    pub session: SessionId,
}

/// A session that is to be stored, and its cookie.
pub(super) struct Begun {
    session: BrowserSession,
    cookie: Minted,
}

impl Begun {
    pub(super) fn new_session(&self) -> NewSession<'_> {
        NewSession { session: &self.session, hash: self.cookie.hash }
    }
}

impl Sessions {
    /// Sessions of the hub at `public_url`.
    pub fn new(store: Arc<Store>, people: Arc<People>, clock: Arc<dyn Clock>, public_url: &Url) -> Self {
        let cookie = Cookie::new("trunkline_session", public_url);
        Self { store, people, clock, cookie, uses: Uses::default() }
    }

    /// Who sends a request with these headers; none unless exactly one live
    /// session of an enabled user is presented.
    pub fn signed_in(&self, headers: &HeaderMap) -> Option<SignedIn> {
        let hash = Form::SESSION.hash_if_well_formed(self.cookie.value(headers)?)?;
        let session = self.people.session(&hash)?;
        let now = self.clock.now();
        let seen = self.uses.last(&session.id).map_or(session.seen_at, |at| at.max(session.seen_at));
        if now.since(seen) >= IDLE {
            return None;
        }
        let user = self.people.enabled(session.user)?;
        self.uses.note(session.id, now);
        Some(SignedIn { user, session: session.id })
    }

    /// Signs `user` in, and returns the `Set-Cookie` header for the browser.
    /// A session that the browser had before ends: its cookie may have been
    /// put there by somebody else.
    ///
    /// # Errors
    /// [`StoreError`]: then nobody is signed in.
    pub async fn sign_in(
        &self,
        user: &User,
        method: &str,
        headers: &HeaderMap,
    ) -> Result<HeaderValue, StoreError> {
        self.sign_in_through(user, method, headers, &IssuerSession::default()).await
    }

    /// As [`sign_in`](Self::sign_in), with what an identity provider gave for
    /// the sign-out.
    ///
    /// # Errors
    /// [`StoreError`]: then nobody is signed in.
    pub async fn sign_in_through(
        &self,
        user: &User,
        method: &str,
        headers: &HeaderMap,
        issuer: &IssuerSession,
    ) -> Result<HeaderValue, StoreError> {
        let begun = self.begin(user, method, headers).await?;
        self.store.browser_sessions().insert(&begun.session, begun.cookie.hash, issuer).await?;
        Ok(self.let_in(&begun).await)
    }

    /// A session that is stored together with what makes it one.
    ///
    /// # Errors
    /// [`StoreError`]: then nobody is signed in.
    pub(super) async fn begin(
        &self,
        user: &User,
        method: &str,
        headers: &HeaderMap,
    ) -> Result<Begun, StoreError> {
        let now = self.clock.now();
        if let Some(before) = self.signed_in(headers) {
            self.store.browser_sessions().revoke(before.session, now).await?;
        }
        let (minted, id) = {
            let mut random = rand::rng();
            let mut bytes = [0; 10];
            rand::Rng::fill_bytes(&mut random, &mut bytes);
            (Form::SESSION.mint(&mut random), SessionId::new(bytes, now))
        };
        let session = BrowserSession {
            id,
            user: user.id,
            method: method.to_owned(),
            user_agent: user_agent(headers),
            created_at: now,
            seen_at: now,
            expires_at: now.plus(LIFETIME),
            revoked_at: None,
        };
        Ok(Begun { session, cookie: minted })
    }

    /// The header for the browser of a session that is stored.
    pub(super) async fn let_in(&self, begun: &Begun) -> HeaderValue {
        if let Err(error) = self.people.catch_up().await {
            // What it was begun with may be used up. Memory follows by itself.
            tracing::warn!(%error, "a new session counts as soon as the users can be read again");
        }
        self.cookie.set(begun.cookie.key.expose(), LIFETIME)
    }

    /// Ends a session; the header makes the browser forget its cookie.
    ///
    /// # Errors
    /// [`StoreError`]: then the session goes on.
    pub async fn sign_out(&self, session: SessionId) -> Result<HeaderValue, StoreError> {
        self.store.browser_sessions().revoke(session, self.clock.now()).await?;
        self.people.catch_up().await?;
        Ok(self.cookie.unset())
    }

    /// Writes now and then when sessions were last used, until the process stops.
    pub fn write_uses(self: &Arc<Self>, tasks: &Tasks) {
        let sessions = Arc::clone(self);
        tasks.spawn_until_stop(async move {
            loop {
                tokio::time::sleep(WRITE_INTERVAL).await;
                sessions.write_uses_once().await;
            }
        });
    }

    async fn write_uses_once(&self) {
        let uses = self.uses.take_unwritten(SEEN_INTERVAL);
        self.uses.forget(self.clock.now(), IDLE);
        if !uses.is_empty()
            && let Err(error) = self.store.browser_sessions().seen(&uses).await
        {
            tracing::debug!(%error, "when sessions were used could not be written");
        }
    }
}

fn user_agent(headers: &HeaderMap) -> String {
    let text = headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    text.chars().take(USER_AGENT_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use trunkline_model::{ManualClock, Role, Timestamp, UserId, UserKind};

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    struct Fixture {
        _directory: tempfile::TempDir,
        sessions: Sessions,
        clock: ManualClock,
        user: User,
    }

    async fn fixture(url: &str) -> Fixture {
        let directory = tempfile::tempdir().expect("a directory");
        let clock = ManualClock::starting_at(NOW);
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let store = Store::open_in(directory.path(), Arc::clone(&shared)).await.expect("opened");
        let user = User {
            id: UserId::new([1; 10], NOW),
            kind: UserKind::Person,
            login: "ann".to_owned(),
            name: "Ann".to_owned(),
            role: Role::Member,
            created_at: NOW,
            disabled_at: None,
        };
        store.users().insert(&user).await.expect("inserted");
        let people = People::load(Arc::clone(&store), Arc::clone(&shared)).await.expect("loaded");
        let sessions = Sessions::new(store, people, shared, &url.parse().expect("a URL"));
        Fixture { _directory: directory, sessions, clock, user }
    }

    fn returned(set_cookie: &HeaderValue) -> HeaderMap {
        let text = set_cookie.to_str().expect("ASCII");
        let pair = text.split(';').next().expect("a pair");
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::from_str(pair).expect("ASCII"))])
    }

    #[tokio::test]
    async fn a_browser_is_its_user_until_it_signs_out_or_time_is_up() {
        let fixture = fixture("http://localhost:7400").await;
        let sessions = &fixture.sessions;
        let cookie = sessions.sign_in(&fixture.user, "password", &HeaderMap::new()).await.expect("in");
        let headers = returned(&cookie);
        let signed_in = sessions.signed_in(&headers).expect("signed in");
        assert_eq!(signed_in.user.login, "ann");
        sessions.sign_out(signed_in.session).await.expect("out");
        assert!(sessions.signed_in(&headers).is_none());

        let cookie = sessions.sign_in(&fixture.user, "password", &HeaderMap::new()).await.expect("in");
        let headers = returned(&cookie);
        for _ in 0..14 {
            fixture.clock.advance(IDLE.saturating_sub(Duration::from_secs(1)));
            assert!(sessions.signed_in(&headers).is_some(), "in use");
            sessions.write_uses_once().await;
        }
        fixture.clock.advance(IDLE.saturating_sub(Duration::from_secs(1)));
        assert!(sessions.signed_in(&headers).is_none(), "seven days are over");
    }

    #[tokio::test]
    async fn a_session_that_nobody_uses_ends_and_a_new_one_ends_the_one_before() {
        let fixture = fixture("http://localhost:7400").await;
        let sessions = &fixture.sessions;
        let first = sessions.sign_in(&fixture.user, "password", &HeaderMap::new()).await.expect("in");
        let second = sessions.sign_in(&fixture.user, "password", &returned(&first)).await.expect("in");
        assert!(sessions.signed_in(&returned(&first)).is_none(), "the cookie of before opens nothing");
        assert!(sessions.signed_in(&returned(&second)).is_some());
        fixture.clock.advance(IDLE);
        assert!(sessions.signed_in(&returned(&second)).is_none());
    }

    #[tokio::test]
    async fn two_cookies_or_a_foreign_one_are_nobody() {
        let fixture = fixture("https://hub.example").await;
        let cookie =
            fixture.sessions.sign_in(&fixture.user, "password", &HeaderMap::new()).await.expect("in");
        let text = cookie.to_str().expect("ASCII");
        assert!(text.starts_with("__Host-trunkline_session=tls_") && text.ends_with("; Secure"), "{text}");
        assert!(text.contains("; HttpOnly; SameSite=Lax"), "{text}");
        let mut headers = returned(&cookie);
        assert!(fixture.sessions.signed_in(&headers).is_some());
        headers.append(header::COOKIE, HeaderValue::from_static("__Host-trunkline_session=tls_other"));
        assert!(fixture.sessions.signed_in(&headers).is_none());
        assert!(fixture.sessions.signed_in(&HeaderMap::new()).is_none());
    }
}
