//! One sign-in under way: sealed into a cookie of the browser that began it,
//! so that no other browser can end it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue};
use rand::CryptoRng;
use serde::{Deserialize, Serialize};
use trunkline_model::Timestamp;

use super::super::Login;
use super::super::cookie::Cookie;

/// How long a person may take at the provider.
pub(super) const LIFETIME: Duration = Duration::from_mins(10);
/// Characters of the state that name the cookie: several sign-ins can be
/// under way in one browser.
const NAME_LENGTH: usize = 8;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Transaction {
    /// Returned with the code.
    pub(super) state: String,
    /// Returned in the ID token.
    pub(super) nonce: String,
    /// RFC 7636.
    pub(super) verifier: String,
    pub(super) next: String,
    until: i64,
}

impl Transaction {
    pub(super) fn new(next: &str, random: &mut impl CryptoRng, now: Timestamp) -> Self {
        let mut text = || {
            let mut bytes = [0; 32];
            random.fill_bytes(&mut bytes);
            URL_SAFE_NO_PAD.encode(bytes)
        };
        let (state, nonce, verifier) = (text(), text(), text());
        Self { state, nonce, verifier, next: next.to_owned(), until: now.plus(LIFETIME).as_micros() }
    }

    /// RFC 7636 section 4.2, `S256`.
    pub(super) fn challenge(&self) -> String {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, self.verifier.as_bytes());
        URL_SAFE_NO_PAD.encode(digest.as_ref())
    }

    /// The header that makes the browser keep it, for the provider `issuer`.
    pub(super) fn keep(&self, login: &Login, issuer: &str) -> Option<HeaderValue> {
        let json = serde_json::to_vec(self).ok()?;
        let sealed = login.transaction_sealer.seal(issuer, &json).ok()?;
        Some(cookie(login, &self.state)?.set(&sealed.to_string(), LIFETIME))
    }

    /// The transaction of this browser with this state at this provider, and
    /// the header that makes the browser forget it.
    pub(super) fn find(
        login: &Login,
        issuer: &str,
        state: &str,
        headers: &HeaderMap,
    ) -> Option<(Self, HeaderValue)> {
        let cookie = cookie(login, state)?;
        let sealed = cookie.value(headers)?.parse().ok()?;
        let json = login.transaction_sealer.open(issuer, &sealed).ok()?;
        let transaction: Self = serde_json::from_slice(&json).ok()?;
        let is_it = transaction.state == state && login.now() < Timestamp::from_micros(transaction.until);
        is_it.then(|| (transaction, cookie.unset()))
    }
}

fn cookie(login: &Login, state: &str) -> Option<Cookie> {
    let name = state.get(..NAME_LENGTH)?;
    let is_ours = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    is_ours.then(|| Cookie::new(&format!("trunkline_sign_in_{name}"), &login.public_url))
}
