//! Browser sessions: a cookie that says who is signed in.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, header};
use trunkline_model::{BrowserSession, Clock, SessionId, User};
use trunkline_storage::{Store, StoreError};
use url::Url;

use crate::keys::Form;
use crate::people::People;

/// How long a session lasts.
const LIFETIME: Duration = Duration::from_hours(12);
const USER_AGENT_LENGTH: usize = 200;

/// Makes sessions and recognises them.
#[derive(Debug)]
pub struct Sessions {
    store: Arc<Store>,
    people: Arc<People>,
    clock: Arc<dyn Clock>,
    cookie_name: &'static str,
    secure: bool,
}

/// The person in front of a browser.
#[derive(Debug, Clone)]
pub struct SignedIn {
    pub user: Arc<User>,
    pub session: SessionId,
}

impl Sessions {
    /// Sessions of the hub at `public_url`.
    pub fn new(store: Arc<Store>, people: Arc<People>, clock: Arc<dyn Clock>, public_url: &Url) -> Self {
        let secure = public_url.scheme() == "https";
        // RFC 6265bis section 4.1.3.2: no other host can set a cookie with this prefix.
        let cookie_name = if secure { "__Host-trunkline_session" } else { "trunkline_session" };
        Self { store, people, clock, cookie_name, secure }
    }

    /// Who sends a request with these headers; none unless exactly one live
    /// session of an enabled user is presented.
    pub fn signed_in(&self, headers: &HeaderMap) -> Option<SignedIn> {
        let hash = Form::SESSION.hash_if_well_formed(cookie(headers, self.cookie_name)?)?;
        let session = self.people.session(&hash)?;
        let user = self.people.enabled(session.user)?;
        Some(SignedIn { user, session: session.id })
    }

    /// Signs `user` in, and returns the `Set-Cookie` header for the browser.
    ///
    /// # Errors
    /// [`StoreError`]: then nobody is signed in.
    pub async fn sign_in(
        &self,
        user: &User,
        method: &str,
        headers: &HeaderMap,
    ) -> Result<HeaderValue, StoreError> {
        let now = self.clock.now();
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
            expires_at: now.plus(LIFETIME),
            revoked_at: None,
        };
        self.store.browser_sessions().insert(&session, minted.hash).await?;
        self.people.catch_up().await?;
        Ok(self.set_cookie(minted.key.expose(), LIFETIME))
    }

    /// Ends a session; the header makes the browser forget its cookie.
    ///
    /// # Errors
    /// [`StoreError`]: then the session goes on.
    pub async fn sign_out(&self, session: SessionId) -> Result<HeaderValue, StoreError> {
        self.store.browser_sessions().revoke(session, self.clock.now()).await?;
        self.people.catch_up().await?;
        Ok(self.set_cookie("", Duration::ZERO))
    }

    fn set_cookie(&self, value: &str, lifetime: Duration) -> HeaderValue {
        let secure = if self.secure { "; Secure" } else { "" };
        // Lax: the browser comes back from an identity provider by a link.
        let text = format!(
            "{}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax{secure}",
            self.cookie_name,
            lifetime.as_secs()
        );
        // Both parts are of our own alphabet.
        HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
    }
}

/// The one cookie with this name; none when there are two, since then one of
/// them is not ours.
fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let pairs = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut values = pairs
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value);
    let value = values.next()?;
    values.next().is_none().then_some(value)
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
        fixture.clock.advance(LIFETIME);
        assert!(sessions.signed_in(&returned(&cookie)).is_none());
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
