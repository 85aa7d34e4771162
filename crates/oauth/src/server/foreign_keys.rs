//! JWTs of clients and of identity providers that assert who somebody is, and
//! where their keys are read.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header;
use jsonwebtoken::Header;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::AuthorizationServer;
use crate::foreign_jwt::{Cached, JwtFault, Keys, claims_of, header_of};

const MOST_SETS: usize = 200;

/// Keys by the URL that they were read from.
#[derive(Debug, Default)]
pub(super) struct KeySets(Mutex<HashMap<String, Arc<Cached<Keys>>>>);

/// The claims of `token`, whose `typ` must be `typ` where one is given, once
/// one of `keys` has signed it. Times are the caller's to check.
pub(super) fn verify<T: DeserializeOwned>(
    token: &str,
    keys: &Keys,
    typ: Option<&str>,
) -> Result<T, JwtFault> {
    verify_with(token, &checked_header(token, typ)?, keys)
}

fn verify_with<T: DeserializeOwned>(token: &str, header: &Header, keys: &Keys) -> Result<T, JwtFault> {
    let claims = claims_of(token, header, keys)?;
    serde_json::from_value(Value::Object(claims)).map_err(|_| JwtFault::Signature)
}

fn checked_header(token: &str, typ: Option<&str>) -> Result<Header, JwtFault> {
    let header = header_of(token)?;
    if header.jku.is_some() || header.x5u.is_some() || header.jwk.is_some() || header.x5c.is_some() {
        return Err(JwtFault::OwnKey);
    }
    let is_of_type = |found: &str, typ: &str| {
        found.strip_prefix("application/").unwrap_or(found).eq_ignore_ascii_case(typ)
    };
    match typ {
        Some(typ) if !header.typ.as_deref().is_some_and(|found| is_of_type(found, typ)) => {
            Err(JwtFault::Type)
        }
        _ => Ok(header),
    }
}

impl AuthorizationServer {
    /// As [`verify`], with the keys at `url`; they are read again for a token
    /// that none of them has signed.
    pub(super) async fn verify_with_keys_at<T: DeserializeOwned>(
        &self,
        url: &str,
        token: &str,
        typ: Option<&str>,
    ) -> Result<T, JwtFault> {
        let header = checked_header(token, typ)?;
        let keys = self.foreign_keys.at(url);
        let keys =
            keys.get(self.clock.now(), |keys| keys.has(&header), async || self.fetch_keys(url).await).await?;
        verify_with(token, &header, &keys)
    }

    async fn fetch_keys(&self, url: &str) -> Result<Keys, JwtFault> {
        let words = |text: &dyn std::fmt::Display| JwtFault::Away(text.to_string());
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
    fn at(&self, url: &str) -> Arc<Cached<Keys>> {
        let mut sets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if sets.len() >= MOST_SETS && !sets.contains_key(url) {
            sets.clear();
        }
        Arc::clone(sets.entry(url.to_owned()).or_default())
    }
}
