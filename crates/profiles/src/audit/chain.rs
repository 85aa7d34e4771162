//! The arithmetic of a chain.

use aws_lc_rs::digest::{Context, SHA256, digest};
use uuid::Uuid;

/// The end of a chain, where the next line is attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    pub chain: Uuid,
    pub seq: i64,
    pub hash: [u8; 32],
}

impl Head {
    /// Where a new chain starts.
    pub(super) fn start_of(chain: Uuid) -> Self {
        Self { chain, seq: 0, hash: to_array(digest(&SHA256, chain.as_bytes()).as_ref()) }
    }

    /// The end after one more line.
    pub(super) fn after(&self, payload: &[u8]) -> Self {
        let seq = self.seq + 1;
        Self { chain: self.chain, seq, hash: hash_of(&self.hash, seq, payload) }
    }
}

/// SHA-256 over `prev_hash`, `seq` as eight bytes (big-endian), and `payload`.
pub(super) fn hash_of(prev_hash: &[u8; 32], seq: i64, payload: &[u8]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(prev_hash);
    context.update(&seq.to_be_bytes());
    context.update(payload);
    to_array(context.finish().as_ref())
}

/// SHA-256 has 32 bytes.
fn to_array(bytes: &[u8]) -> [u8; 32] {
    let mut array = [0; 32];
    array.copy_from_slice(bytes);
    array
}
