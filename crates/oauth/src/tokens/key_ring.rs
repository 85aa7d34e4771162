//! Every signing key, in memory.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use trunkline_model::Timestamp;
use trunkline_storage::Store;
use trunkline_storage::authorization::SigningKey;

use super::claims::Claims;
use super::{SigningError, rotation};
use crate::mirror::Asked;

pub(super) struct KeyRing {
    /// The newest first.
    keys: Vec<Key>,
    /// The opened key that signs now.
    signer: Mutex<Option<(i64, Arc<Ed25519KeyPair>)>>,
}

struct Key {
    stored: SigningKey,
    /// The first part of every token that the key signs. Another header, one
    /// with `jku` or another `alg`, is no header of ours: it is compared and
    /// never parsed.
    header: String,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kids = self.keys.iter().map(|key| key.stored.kid.as_str());
        formatter.debug_list().entries(kids).finish()
    }
}

impl KeyRing {
    pub(super) fn read(store: &Store) -> Asked<'_, Self> {
        Box::pin(async {
            let mut keys: Vec<Key> = store.signing_keys().list().await?.into_iter().map(Key::new).collect();
            keys.reverse();
            Ok(Self { keys, signer: Mutex::default() })
        })
    }

    /// RFC 8037 section 2.
    pub(super) fn public_keys(&self) -> Value {
        let keys = self.keys.iter().map(|key| {
            json!({
                "kty": "OKP",
                "crv": "Ed25519",
                "x": URL_SAFE_NO_PAD.encode(key.stored.public_key),
                "kid": key.stored.kid,
                "use": "sig",
                "alg": "EdDSA",
            })
        });
        json!({ "keys": keys.collect::<Vec<_>>() })
    }

    /// The payload of a token that one of the keys signed (RFC 7515 section 5.2).
    pub(super) fn open(&self, token: &str) -> Option<Vec<u8>> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let key = self.keys.iter().find(|key| key.header == header)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let public = UnparsedPublicKey::new(&ED25519, key.stored.public_key);
        public.verify(signed.as_bytes(), &signature).ok()?;
        URL_SAFE_NO_PAD.decode(payload).ok()
    }

    /// Signs with the newest key whose time has come.
    pub(super) fn sign(
        &self,
        claims: &Claims,
        now: Timestamp,
        store: &Store,
    ) -> Result<String, SigningError> {
        let key = self.keys.iter().find(|key| key.stored.active_at <= now).ok_or(SigningError::NoKey)?;
        let pair = self.opened(&key.stored, store)?;
        let payload = serde_json::to_vec(claims).map_err(|_| SigningError::Refused)?;
        let mut token = format!("{}.{}", key.header, URL_SAFE_NO_PAD.encode(payload));
        let signature = pair.sign(token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature.as_ref(), &mut token);
        Ok(token)
    }

    fn opened(&self, key: &SigningKey, store: &Store) -> Result<Arc<Ed25519KeyPair>, SigningError> {
        let mut signer = self.signer.lock().unwrap_or_else(PoisonError::into_inner);
        match signer.as_ref() {
            Some((generation, pair)) if *generation == key.generation => Ok(Arc::clone(pair)),
            _ => {
                let pair = Arc::new(rotation::open(key, store)?);
                *signer = Some((key.generation, Arc::clone(&pair)));
                Ok(pair)
            }
        }
    }
}

impl Key {
    fn new(stored: SigningKey) -> Self {
        let header = format!(r#"{{"typ":"at+jwt","alg":"EdDSA","kid":"{}"}}"#, stored.kid);
        Self { header: URL_SAFE_NO_PAD.encode(header), stored }
    }
}
