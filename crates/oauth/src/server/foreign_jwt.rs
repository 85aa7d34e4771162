//! JWTs that others signed: identity providers, and clients with keys of
//! their own (RFC 8725 for what is checked).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header;
use jsonwebtoken::jwk::{Jwk, JwkSet};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::de::DeserializeOwned;
use thiserror::Error;
use trunkline_model::Timestamp;

use super::AuthorizationServer;
use crate::unambiguous::Unambiguous;

/// Signatures alone: no shared secret can be among them.
const ALGORITHMS: [Algorithm; 5] =
    [Algorithm::EdDSA, Algorithm::ES256, Algorithm::ES384, Algorithm::RS256, Algorithm::PS256];
const LONGEST: usize = 16 * 1024;
/// How long keys are used without looking again…
const FRESH: Duration = Duration::from_hours(1);
/// …and how long at least between two looks for a key that is not among them.
const PAUSE: Duration = Duration::from_mins(1);
/// How long keys are used whose server does not answer.
const STALE: Duration = Duration::from_hours(24);
const MOST_SETS: usize = 200;

/// Why a JWT is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum JwtFault {
    #[error("it is too long or not a JWT")]
    Malformed,
    #[error("its header is not what it must be: {0}")]
    Header(&'static str),
    #[error("no key of its issuer has signed it")]
    Key,
    #[error("its signature or its claims are not right")]
    Signature,
    #[error("the keys of its issuer cannot be read: {0}")]
    Keys(String),
}

#[derive(Debug, Clone)]
struct KeySet {
    keys: Arc<JwkSet>,
    read_at: Timestamp,
    asked_at: Timestamp,
}

/// Keys by the URL that they were read from.
#[derive(Debug, Default)]
pub(super) struct KeySets(Mutex<HashMap<String, KeySet>>);

/// The claims of `token`, whose `typ` must be `typ` where one is given, once
/// one of `keys` has signed it. Times are the caller's to check.
pub(super) fn verify<T: DeserializeOwned + Clone>(
    token: &str,
    keys: &JwkSet,
    typ: Option<&str>,
) -> Result<T, JwtFault> {
    let (algorithm, kid) = header_of(token, typ)?;
    let candidates = keys.keys.iter().filter(|key| fits(key, algorithm, kid.as_deref()));
    let mut tried = false;
    for key in candidates {
        let Ok(decoding) = DecodingKey::from_jwk(key) else { continue };
        tried = true;
        let mut validation = Validation::new(algorithm);
        validation.algorithms = vec![algorithm];
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        if let Ok(data) = jsonwebtoken::decode::<Unambiguous>(token, &decoding, &validation)
            && let Ok(claims) = serde_json::from_value(data.claims.0)
        {
            return Ok(claims);
        }
    }
    Err(if tried { JwtFault::Signature } else { JwtFault::Key })
}

fn header_of(token: &str, typ: Option<&str>) -> Result<(Algorithm, Option<String>), JwtFault> {
    if token.len() > LONGEST || token.split('.').count() != 3 {
        return Err(JwtFault::Malformed);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| JwtFault::Malformed)?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(JwtFault::Header("alg"));
    }
    if header.jku.is_some() || header.x5u.is_some() || header.jwk.is_some() || header.x5c.is_some() {
        return Err(JwtFault::Header("a key in the token proves nothing"));
    }
    if header.crit.is_some() {
        return Err(JwtFault::Header("crit"));
    }
    if let Some(typ) = typ
        && !header.typ.as_deref().is_some_and(|found| {
            found.strip_prefix("application/").unwrap_or(found).eq_ignore_ascii_case(typ)
        })
    {
        return Err(JwtFault::Header("typ"));
    }
    Ok((header.alg, header.kid))
}

fn fits(key: &Jwk, algorithm: Algorithm, kid: Option<&str>) -> bool {
    let same_kid = kid.is_none() || key.common.key_id.as_deref() == kid;
    let same_algorithm = key
        .common
        .key_algorithm
        .is_none_or(|named| named.to_string().parse::<Algorithm>().is_ok_and(|named| named == algorithm));
    let is_secret = matches!(key.algorithm, jsonwebtoken::jwk::AlgorithmParameters::OctetKey(_));
    same_kid && same_algorithm && !is_secret
}

impl AuthorizationServer {
    /// As [`verify`], with the keys at `url`; they are read again for a token
    /// that none of them has signed.
    pub(super) async fn verify_with_keys_at<T: DeserializeOwned + Clone>(
        &self,
        url: &str,
        token: &str,
        typ: Option<&str>,
    ) -> Result<T, JwtFault> {
        header_of(token, typ)?;
        let keys = self.keys_at(url, FRESH).await?;
        match verify(token, &keys, typ) {
            Err(JwtFault::Key) => verify(token, &*self.keys_at(url, PAUSE).await?, typ),
            outcome => outcome,
        }
    }

    /// The keys at `url`, read at most `age` ago where that can be had.
    async fn keys_at(&self, url: &str, age: Duration) -> Result<Arc<JwkSet>, JwtFault> {
        let now = self.clock.now();
        let known = self.foreign_keys.get(url);
        if let Some(known) = &known
            && (now.since(known.read_at) < age || now.since(known.asked_at) < PAUSE.min(age))
        {
            return Ok(Arc::clone(&known.keys));
        }
        match Box::pin(self.fetch_keys(url)).await {
            Ok(keys) => {
                let keys = Arc::new(keys);
                self.foreign_keys.put(url, KeySet { keys: Arc::clone(&keys), read_at: now, asked_at: now });
                Ok(keys)
            }
            Err(fault) => match known {
                Some(known) if now.since(known.read_at) < STALE => {
                    tracing::warn!(%fault, "the last known keys are used");
                    self.foreign_keys.put(url, KeySet { asked_at: now, ..known.clone() });
                    Ok(known.keys)
                }
                _ => Err(fault),
            },
        }
    }

    async fn fetch_keys(&self, url: &str) -> Result<JwkSet, JwtFault> {
        let words = |text: &dyn std::fmt::Display| JwtFault::Keys(text.to_string());
        let request = http::Request::get(url)
            .header(header::ACCEPT, "application/json")
            .body(Bytes::new())
            .map_err(|error| words(&error))?;
        let answer = self.outbound.send(request).await.map_err(|error| words(&error))?;
        if answer.status() != 200 {
            return Err(words(&format_args!("status {}", answer.status().as_u16())));
        }
        serde_json::from_slice(answer.body()).map_err(|_| words(&"it is no JWK set"))
    }
}

impl KeySets {
    fn get(&self, url: &str) -> Option<KeySet> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(url).cloned()
    }

    fn put(&self, url: &str, set: KeySet) {
        let mut sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sets.len() >= MOST_SETS && !sets.contains_key(url) {
            sets.clear();
        }
        sets.insert(url.to_owned(), set);
    }
}
