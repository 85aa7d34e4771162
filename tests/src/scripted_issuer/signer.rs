//! Signs ID tokens, well or badly.

use anyhow::{Context as _, Result};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// What stands where the signature belongs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Signature {
    /// The issuer's own (ES256).
    #[default]
    Own,
    /// Of a key that the issuer does not publish.
    Stranger,
    /// HMAC-SHA256 with the published key as the secret.
    PublishedKeyAsSecret,
    /// Nothing.
    None,
}

#[derive(Debug)]
pub(super) struct Signer {
    own: EcdsaKeyPair,
    stranger: EcdsaKeyPair,
}

impl Signer {
    pub(super) fn new() -> Result<Self> {
        let key = || EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).context("a key");
        Ok(Self { own: key()?, stranger: key()? })
    }

    /// The public key (RFC 7517).
    pub(super) fn published(&self) -> Value {
        // 0x04, then both coordinates.
        let point = self.own.public_key().as_ref();
        let (x, y) = point[1..].split_at(32);
        let text = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
        json!({ "kty": "EC", "crv": "P-256", "x": text(x), "y": text(y), "kid": "k1", "use": "sig" })
    }

    pub(super) fn sign(&self, header: &str, claims: &str, signature: Signature) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let by = |key: &EcdsaKeyPair| {
            let made = key.sign(&SystemRandom::new(), signed.as_bytes());
            made.map(|made| made.as_ref().to_vec()).unwrap_or_default()
        };
        let bytes = match signature {
            Signature::Own => by(&self.own),
            Signature::Stranger => by(&self.stranger),
            Signature::PublishedKeyAsSecret => {
                let secret = hmac::Key::new(hmac::HMAC_SHA256, self.own.public_key().as_ref());
                hmac::sign(&secret, signed.as_bytes()).as_ref().to_vec()
            }
            Signature::None => Vec::new(),
        };
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(bytes))
    }
}
