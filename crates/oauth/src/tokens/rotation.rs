//! Makes signing keys, and replaces them every ninety days. A key is made a
//! week before it signs, so that every process, and whoever keeps our JWK
//! set, knows it by then; and it verifies for a day after the last token that
//! it signed.

use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use trunkline_model::{Clock, Timestamp};
use trunkline_storage::Store;
use trunkline_storage::authorization::SigningKey;

use super::SigningError;

/// How long a key signs.
const ACTIVE: Duration = Duration::from_hours(24 * 90);
/// How long before it signs a key is made.
const AHEAD: Duration = Duration::from_hours(24 * 7);
/// How long a key verifies after it has signed its last token.
const RETIRED: Duration = Duration::from_hours(24);
const LOOK: Duration = Duration::from_hours(1);

/// The purpose of the seal.
const PURPOSE: &str = "oauth-signing-key";

/// Rotates the keys when it is time, for ever.
pub(super) async fn rotate_for_ever(store: &Store, clock: &dyn Clock) {
    loop {
        tokio::time::sleep(LOOK).await;
        if let Err(error) = ensure_key(store, clock.now()).await {
            tracing::warn!(%error, "the signing keys are not rotated; the next try is in an hour");
        }
    }
}

/// Makes the first key, or the next one when it is time, and removes those
/// that verify nothing any more.
pub(super) async fn ensure_key(store: &Store, now: Timestamp) -> Result<(), SigningError> {
    let keys = store.signing_keys().list().await?;
    let next = match keys.last() {
        None => Some((1, now)),
        Some(newest) if newest.active_at.plus(ACTIVE) <= now.plus(AHEAD) => {
            Some((newest.generation + 1, newest.active_at.plus(ACTIVE).max(now)))
        }
        Some(_) => None,
    };
    if let Some((generation, active_at)) = next {
        // Another process may have been first: then its key is as good.
        let new = make(store, generation, active_at, now)?;
        if store.signing_keys().insert(&new).await? {
            tracing::info!(kid = new.kid, %active_at, "made a key that signs access tokens");
        }
    }
    let over = keys.windows(2).filter(|pair| pair[1].active_at.plus(RETIRED) <= now);
    if let Some(last) = over.map(|pair| pair[0].generation).max() {
        store.signing_keys().delete_up_to(last).await?;
    }
    Ok(())
}

/// Opens a key's seal.
pub(super) fn open(key: &SigningKey, store: &Store) -> Result<Ed25519KeyPair, SigningError> {
    let document = store.vault().open(PURPOSE, &key.kid, &key.sealed)?;
    Ed25519KeyPair::from_pkcs8(&document).map_err(|_| SigningError::Refused)
}

fn make(
    store: &Store,
    generation: i64,
    active_at: Timestamp,
    now: Timestamp,
) -> Result<SigningKey, SigningError> {
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| SigningError::Refused)?;
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).map_err(|_| SigningError::Refused)?;
    let public_key: [u8; 32] = pair.public_key().as_ref().try_into().map_err(|_| SigningError::Refused)?;
    let kid = thumbprint(&public_key);
    Ok(SigningKey {
        generation,
        sealed: store.vault().seal(PURPOSE, &kid, document.as_ref())?,
        kid,
        public_key,
        created_at: now,
        active_at,
    })
}

/// RFC 7638 section 3, for a key of RFC 8037.
fn thumbprint(public_key: &[u8; 32]) -> String {
    let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, URL_SAFE_NO_PAD.encode(public_key));
    URL_SAFE_NO_PAD.encode(digest(&SHA256, jwk.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thumbprint_is_that_of_rfc_8037_appendix_a_3() {
        let x = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").expect("base64");
        let key = x.try_into().expect("32 bytes");
        assert_eq!(thumbprint(&key), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
