//! The keys of whoever signs (RFC 7517).

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// More keys than this are not looked at.
const MOST_KEYS: usize = 64;

/// The keys of a JWK set that can sign; those of other kinds are left out.
#[derive(Debug)]
pub(crate) struct Keys(Vec<Jwk>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Set {
            keys: Vec<Value>,
        }

        let keys = Set::deserialize(deserializer)?.keys.into_iter().take(MOST_KEYS);
        // A kind of key that nobody here knows makes the others no worse (RFC 7517 section 5).
        let known = keys.filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        Ok(Self(known.filter(is_for_signatures).collect()))
    }
}

impl Keys {
    /// The keys that a token with this header may be signed with: the one it
    /// names, or each of the right kind when it names none.
    pub(crate) fn candidates(&self, header: &Header) -> Vec<DecodingKey> {
        let fits = |key: &&Jwk| {
            let is_named = header.kid.is_none() || key.common.key_id == header.kid;
            is_named && is_for_algorithm(key, header.alg) && is_of_kind(key, header.alg)
        };
        self.0.iter().filter(fits).filter_map(|key| DecodingKey::from_jwk(key).ok()).collect()
    }

    pub(crate) fn has(&self, header: &Header) -> bool {
        !self.candidates(header).is_empty()
    }
}

fn is_for_signatures(key: &Jwk) -> bool {
    key.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature)
}

/// RFC 7517 section 4.4.
fn is_for_algorithm(key: &Jwk, algorithm: Algorithm) -> bool {
    let named = key.common.key_algorithm;
    named.is_none_or(|named| named.to_string().parse::<Algorithm>().is_ok_and(|named| named == algorithm))
}

/// Which algorithms a key of each kind verifies, all of them asymmetric: a
/// public key never becomes the secret of an HMAC (RFC 8725 section 2.1).
fn is_of_kind(key: &Jwk, algorithm: Algorithm) -> bool {
    match &key.algorithm {
        AlgorithmParameters::RSA(_) => matches!(
            algorithm,
            Algorithm::RS256
                | Algorithm::RS384
                | Algorithm::RS512
                | Algorithm::PS256
                | Algorithm::PS384
                | Algorithm::PS512
        ),
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => algorithm == Algorithm::ES256,
            EllipticCurve::P384 => algorithm == Algorithm::ES384,
            _ => false,
        },
        AlgorithmParameters::OctetKeyPair(key) => {
            key.curve == EllipticCurve::Ed25519 && algorithm == Algorithm::EdDSA
        }
        _ => false,
    }
}
