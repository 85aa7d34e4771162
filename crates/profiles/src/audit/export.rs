//! Reading the trail from its start.

use std::collections::VecDeque;

use trunkline_storage::{AuditRow, Store, StoreError};
use uuid::Uuid;

/// Lines read at a time.
const PAGE: u32 = 512;

/// Every line of the trail, chain after chain, the oldest first.
#[derive(Debug)]
pub struct Export<'a> {
    store: &'a Store,
    chains: VecDeque<Uuid>,
    after_seq: i64,
}

impl<'a> Export<'a> {
    /// Starts at the first line. Chains that begin later are left out.
    ///
    /// # Errors
    /// [`StoreError`] when the trail cannot be read.
    pub async fn new(store: &'a Store) -> Result<Self, StoreError> {
        Ok(Self { store, chains: store.audit().chains().await?.into(), after_seq: i64::MIN })
    }

    /// The next lines, all of one chain; none at the end.
    ///
    /// # Errors
    /// [`StoreError`] when the trail cannot be read; asking again is safe.
    pub async fn next_page(&mut self) -> Result<Option<Vec<AuditRow>>, StoreError> {
        while let Some(chain) = self.chains.front() {
            let rows = self.store.audit().page(*chain, self.after_seq, PAGE).await?;
            if let Some(last) = rows.last() {
                self.after_seq = last.seq;
                return Ok(Some(rows));
            }
            self.chains.pop_front();
            self.after_seq = i64::MIN;
        }
        Ok(None)
    }
}
