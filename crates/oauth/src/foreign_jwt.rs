//! JWTs that others sign: identity providers, and clients with keys of their
//! own (RFC 8725 for what is checked). Whom a token is from, for and about,
//! and when, is for those to judge who asked for it.

mod cached;
mod keys;

use jsonwebtoken::{Algorithm, Header, Validation};
use serde_json::{Map, Value};
use thiserror::Error;

use crate::unambiguous::Unambiguous;

pub(crate) use cached::{Cached, Missed};
pub(crate) use keys::Keys;

/// Signatures alone: no shared secret can be among them.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];
/// No longer one is looked at, in bytes.
const LONGEST: usize = 64 * 1024;

/// Why a JWT is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum JwtFault {
    #[error("it is too long")]
    TooLong,
    #[error("it is not a signed JWT")]
    Malformed,
    #[error("it is signed with an algorithm that is not accepted")]
    Algorithm,
    #[error("it has critical extensions")]
    Critical,
    #[error("it brings a key along, which proves nothing")]
    OwnKey,
    #[error("it is of another type")]
    Type,
    #[error("it is signed with a key that is not its issuer's")]
    Key,
    #[error("its signature is not its issuer's, or its claims are no object or stand twice")]
    Signature,
    #[error("the keys of its issuer cannot be read: {0}")]
    Away(String),
}

impl From<Missed<Self>> for JwtFault {
    fn from(missed: Missed<Self>) -> Self {
        match missed {
            Missed::Failed(fault) => fault,
            Missed::NotAmong => Self::Key,
            Missed::JustAsked => Self::Away("they were asked for a moment ago".to_owned()),
        }
    }
}

/// The header, if the token is one that may be verified at all.
pub(crate) fn header_of(token: &str) -> Result<Header, JwtFault> {
    if token.len() > LONGEST {
        return Err(JwtFault::TooLong);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| JwtFault::Malformed)?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(JwtFault::Algorithm);
    }
    // RFC 7515 section 4.1.11: what must be understood is not.
    if header.crit.is_some() {
        return Err(JwtFault::Critical);
    }
    Ok(header)
}

/// The claims, if one of the keys has signed them. Nothing that the header
/// brings along (`jwk`, `jku`, `x5c`) is looked at.
pub(crate) fn claims_of(token: &str, header: &Header, keys: &Keys) -> Result<Map<String, Value>, JwtFault> {
    let candidates = keys.candidates(header);
    if candidates.is_empty() {
        return Err(JwtFault::Key);
    }
    let validation = signature_alone(header.alg);
    let data =
        candidates.iter().find_map(|key| jsonwebtoken::decode::<Unambiguous>(token, key, &validation).ok());
    data.and_then(|data| data.claims.members()).ok_or(JwtFault::Signature)
}

/// The library would ask the machine's clock.
fn signature_alone(algorithm: Algorithm) -> Validation {
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    validation.required_spec_claims.clear();
    validation
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims() -> Value {
        json!({"iss": "https://idp.example", "sub": "42"})
    }

    fn keys(keys: &[Value]) -> Keys {
        serde_json::from_value(json!({ "keys": keys })).expect("a set")
    }

    /// A key of the provider, and what it publishes of it.
    fn key(kid: &str) -> (jsonwebtoken::EncodingKey, Value) {
        use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
        let document =
            Ed25519KeyPair::generate_pkcs8v1(&aws_lc_rs::rand::SystemRandom::new()).expect("a key");
        let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a key");
        let x = encoded(pair.public_key().as_ref());
        let published = json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": kid, "use": "sig"});
        (jsonwebtoken::EncodingKey::from_ed_der(document.as_ref()), published)
    }

    fn encoded(bytes: &[u8]) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes)
    }

    fn opened(token: &str, keys: &Keys) -> Result<Map<String, Value>, String> {
        let claims = header_of(token).and_then(|header| claims_of(token, &header, keys));
        claims.map_err(|error| error.to_string())
    }

    #[test]
    fn only_a_signature_of_the_providers_own_key_counts() {
        let (signer, published) = key("one");
        let (stranger, _) = key("one");
        let known = keys(&[json!({"kty": "new", "kid": "x"}), published.clone()]);
        let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::EdDSA) };
        let sign = |header: &Header, key| jsonwebtoken::encode(header, &claims(), key).expect("signed");
        assert!(opened(&sign(&header, &signer), &known).is_ok());
        assert!(opened(&sign(&Header::new(Algorithm::EdDSA), &signer), &known).is_ok(), "no kid, one key");
        assert!(opened(&sign(&header, &stranger), &known).is_err(), "another key under its name");
        let other = Header { kid: Some("../one".to_owned()), ..header.clone() };
        assert!(opened(&sign(&other, &signer), &known).is_err());
        assert!(!known.has(&other), "and is asked for anew");

        let body = encoded(serde_json::to_string(&claims()).expect("JSON").as_bytes());
        for head in [r#"{"alg":"none"}"#, r#"{"alg":"NONE","kid":"one"}"#, r#"{"alg":"EdDSA","kid":"one"}"#] {
            assert!(opened(&format!("{}.{body}.", encoded(head.as_bytes())), &known).is_err(), "{head}");
        }
        // The public key as the secret of an HMAC.
        let secret =
            jsonwebtoken::EncodingKey::from_secret(published["x"].as_str().expect("text").as_bytes());
        let confused =
            sign(&Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::HS256) }, &secret);
        assert!(opened(&confused, &known).is_err_and(|error| error.contains("algorithm")));
        let critical = encoded(br#"{"alg":"EdDSA","kid":"one","crit":["b64"],"b64":false}"#);
        assert!(
            opened(&format!("{critical}.{body}.AA"), &known).is_err_and(|error| error.contains("critical"))
        );
        let mut changed = sign(&header, &signer);
        changed.replace_range(changed.len() - 4.., "AAAA");
        assert!(opened(&changed, &known).is_err());
    }
}
