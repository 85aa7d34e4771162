//! The provider's keys (RFC 7517).

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header};
use serde::Deserialize;
use serde_json::Value;
use trunkline_web::Outbound;
use url::Url;

use super::{OidcError, metadata};

/// More keys than this are not looked at.
const MOST_KEYS: usize = 64;

/// The keys that can sign; those of other kinds are left out.
#[derive(Debug)]
pub(super) struct Keys(Vec<Jwk>);

#[derive(Debug, Deserialize)]
struct Document {
    keys: Vec<Value>,
}

pub(super) async fn fetch(outbound: &Outbound, url: &Url) -> Result<Keys, OidcError> {
    let document: Document = metadata::get(outbound, url.as_str(), "its keys cannot be read").await?;
    Ok(Keys::new(document.keys))
}

impl Keys {
    pub(super) fn new(keys: Vec<Value>) -> Self {
        let keys = keys.into_iter().take(MOST_KEYS);
        // A kind of key that nobody here knows makes the others no worse (RFC 7517 section 5).
        let known = keys.filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        Self(known.filter(is_for_signatures).collect())
    }

    /// The keys that a token with this header may be signed with: the one it
    /// names, or each of the right kind when it names none.
    pub(super) fn candidates(&self, header: &Header) -> Vec<DecodingKey> {
        let fits = |key: &&Jwk| {
            let is_named = header.kid.is_none() || key.common.key_id == header.kid;
            is_named && is_of_kind(key, header.alg)
        };
        self.0.iter().filter(fits).filter_map(|key| DecodingKey::from_jwk(key).ok()).collect()
    }

    pub(super) fn has(&self, header: &Header) -> bool {
        !self.candidates(header).is_empty()
    }
}

fn is_for_signatures(key: &Jwk) -> bool {
    key.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature)
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
