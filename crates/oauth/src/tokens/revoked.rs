//! Grants that were revoked while tokens of them may still be good.

use std::collections::HashSet;

use trunkline_model::{GrantId, Timestamp};
use trunkline_storage::Store;

use crate::mirror::Asked;

#[derive(Debug)]
pub(super) struct Revoked(HashSet<GrantId>);

impl Revoked {
    /// All that the database remembers: it forgets them long after their last
    /// token has expired.
    pub(super) fn read(store: &Store) -> Asked<'_, Self> {
        Box::pin(async {
            let ids = store.grants().revoked_since(Timestamp::from_micros(0)).await?;
            Ok(Self(ids.into_iter().collect()))
        })
    }

    pub(super) fn contains(&self, grant: GrantId) -> bool {
        self.0.contains(&grant)
    }
}
