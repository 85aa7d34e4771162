//! An identity provider that believes everybody: its code is the nonce of the
//! request, and each code is somebody's, the same person's.

use anyhow::{Context as _, Result};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Value, json};

use super::{Answer, empty, json_answer};

/// Where it is: the path of its issuer.
pub(crate) const PATH: &str = "/idp";
/// As which client the hub is known.
pub(crate) const CLIENT: &str = "trunkline";

pub(super) struct Provider {
    issuer: String,
    key: EcdsaKeyPair,
}

impl Provider {
    pub(super) fn new(address: std::net::SocketAddr) -> Result<Self> {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).context("a key")?;
        Ok(Self { issuer: format!("http://{address}{PATH}"), key })
    }

    pub(super) fn said(&self, path: &str, body: &[u8]) -> Answer {
        let answer = match path.strip_prefix(PATH) {
            Some("/.well-known/openid-configuration") => self.metadata(),
            Some("/jwks") => self.keys(),
            Some("/token") => self.tokens(&String::from_utf8_lossy(body)),
            _ => return empty(StatusCode::NOT_FOUND),
        };
        json_answer(StatusCode::OK, answer.to_string())
    }

    fn metadata(&self) -> Value {
        let issuer = &self.issuer;
        json!({
            "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"), "jwks_uri": format!("{issuer}/jwks"),
        })
    }

    fn keys(&self) -> Value {
        // 0x04, then both coordinates.
        let (x, y) = self.key.public_key().as_ref()[1..].split_at(32);
        let text = |part: &[u8]| URL_SAFE_NO_PAD.encode(part);
        let key =
            json!({ "kty": "EC", "crv": "P-256", "x": text(x), "y": text(y), "kid": "k", "use": "sig" });
        json!({ "keys": [key] })
    }

    fn tokens(&self, form: &str) -> Value {
        let nonce = form.split('&').find_map(|field| field.strip_prefix("code=")).unwrap_or_default();
        let now = now();
        let claims = json!({
            "iss": self.issuer, "aud": CLIENT, "sub": "u1", "nonce": nonce, "iat": now, "exp": now + 300,
            "email": "eve@example.org", "email_verified": true, "name": "Eve", "groups": ["eng"],
        });
        let header = json!({ "alg": "ES256", "typ": "JWT", "kid": "k" });
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = self.key.sign(&SystemRandom::new(), signed.as_bytes());
        let signature = signature.map(|made| URL_SAFE_NO_PAD.encode(made.as_ref())).unwrap_or_default();
        json!({ "access_token": "x", "token_type": "Bearer", "id_token": format!("{signed}.{signature}") })
    }
}

#[expect(clippy::disallowed_methods, reason = "a provider has a clock of its own")]
fn now() -> i64 {
    chrono::Utc::now().timestamp()
}
