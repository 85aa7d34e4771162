//! How a client proves itself with a private key (RFC 7523 section 2.2,
//! OpenID Connect Core section 9, `private_key_jwt`).

use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use thiserror::Error;
use trunkline_model::{ClientKey, Secret, Timestamp};

/// What kind of assertion it is (RFC 7523 section 2.2).
pub(super) const KIND: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// How long one is good. It is used at once.
const LIFE: Duration = Duration::from_mins(2);

/// Why a key signs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "is not the private key of a P-256, P-384, RSA or Ed25519 pair in PEM (`-----BEGIN PRIVATE KEY-----`)"
)]
pub struct KeyFault;

/// What an assertion says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claims<'a> {
    pub(super) client_id: &'a str,
    /// The authorization server's issuer; its token endpoint where the issuer is not known.
    pub(super) audience: &'a str,
    /// Never the same twice.
    pub(super) id: &'a str,
    pub(super) now: Timestamp,
}

/// Whether a key can sign.
///
/// # Errors
/// [`KeyFault`].
pub fn check_key(key: &ClientKey) -> Result<(), KeyFault> {
    let claims = Claims { client_id: "", audience: "", id: "", now: Timestamp::from_micros(0) };
    sign(key, claims).map(drop)
}

/// A new assertion.
///
/// # Errors
/// [`KeyFault`].
pub(super) fn sign(key: &ClientKey, claims: Claims<'_>) -> Result<Secret, KeyFault> {
    let seconds = |at: Timestamp| at.as_micros() / 1_000_000;
    let payload = json!({
        "iss": claims.client_id,
        "sub": claims.client_id,
        "aud": claims.audience,
        "jti": claims.id,
        "iat": seconds(claims.now),
        "exp": seconds(claims.now.plus(LIFE)),
    });
    candidates(key.pem.expose().as_bytes())
        .into_iter()
        .find_map(|(algorithm, signer)| signed(key, algorithm, &signer, &payload))
        .ok_or(KeyFault)
}

fn signed(key: &ClientKey, algorithm: Algorithm, signer: &EncodingKey, payload: &Value) -> Option<Secret> {
    let header = Header { kid: key.id.clone(), ..Header::new(algorithm) };
    jsonwebtoken::encode(&header, payload, signer).ok().map(Secret::new)
}

/// What the key may be: that it is of another curve is known only once it signs.
fn candidates(pem: &[u8]) -> Vec<(Algorithm, EncodingKey)> {
    let elliptic = EncodingKey::from_ec_pem(pem).ok();
    let kinds = [
        (Algorithm::ES256, elliptic.clone()),
        (Algorithm::ES384, elliptic),
        (Algorithm::EdDSA, EncodingKey::from_ed_pem(pem).ok()),
        (Algorithm::RS256, EncodingKey::from_rsa_pem(pem).ok()),
    ];
    kinds.into_iter().filter_map(|(algorithm, signer)| Some((algorithm, signer?))).collect()
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    };
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

    use super::*;

    fn key(der: &[u8]) -> ClientKey {
        let text = STANDARD.encode(der);
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
        ClientKey { pem: Secret::new(pem), id: Some("k1".to_owned()) }
    }

    fn part(token: &Secret, index: usize) -> Value {
        let part = token.expose().split('.').nth(index).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    }

    #[test]
    fn each_kind_of_key_signs_with_its_algorithm() {
        let random = SystemRandom::new();
        let p256 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let p384 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, &random).unwrap();
        let ed = Ed25519KeyPair::generate_pkcs8v1(&random).unwrap();
        let rsa = aws_lc_rs::rsa::KeyPair::generate(aws_lc_rs::rsa::KeySize::Rsa2048).unwrap();
        let rsa = rsa.as_der().unwrap();
        for (der, algorithm) in [
            (p256.as_ref(), "ES256"),
            (p384.as_ref(), "ES384"),
            (ed.as_ref(), "EdDSA"),
            (rsa.as_ref(), "RS256"),
        ] {
            let claims = Claims {
                client_id: "hub",
                audience: "https://as.example",
                id: "one",
                now: Timestamp::from_micros(1_700_000_000_000_000),
            };
            let token = sign(&key(der), claims).unwrap();
            let header = part(&token, 0);
            assert_eq!((&header["alg"], &header["kid"]), (&json!(algorithm), &json!("k1")));
            let expected = json!({
                "iss": "hub", "sub": "hub", "aud": "https://as.example", "jti": "one",
                "iat": 1_700_000_000, "exp": 1_700_000_120,
            });
            assert_eq!(part(&token, 1), expected, "{algorithm}");
        }
    }

    #[test]
    fn what_is_no_private_key_is_refused() {
        for text in ["", "secret", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----"] {
            assert_eq!(check_key(&ClientKey { pem: Secret::new(text), id: None }), Err(KeyFault), "{text}");
        }
        assert_eq!(check_key(&key(&[1, 2, 3])), Err(KeyFault));
    }
}
