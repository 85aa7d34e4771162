//! Tokens whose signature has been verified, by their SHA-256: a client sends
//! the same one with each request.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use trunkline_model::Timestamp;

use super::Verified;
use crate::keys;

/// About 400 bytes each.
const MOST: usize = 20_000;

#[derive(Debug, Default)]
pub(super) struct Cache(RwLock<HashMap<[u8; 32], Arc<Verified>>>);

pub(super) fn digest(token: &str) -> [u8; 32] {
    keys::hash(token).0
}

impl Cache {
    pub(super) fn get(&self, digest: &[u8; 32]) -> Option<Arc<Verified>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }

    /// Keeps a token; when there are too many, first those go that have
    /// expired, and then all: each is verified again when it comes.
    pub(super) fn put(&self, digest: [u8; 32], verified: Arc<Verified>, now: Timestamp) {
        let mut tokens = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if tokens.len() >= MOST {
            tokens.retain(|_, token| now < token.expires_at);
        }
        if tokens.len() >= MOST {
            tokens.clear();
        }
        tokens.insert(digest, verified);
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).len()
    }
}
