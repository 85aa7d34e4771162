//! What a page of ours carries from the question to the answer: sealed, so
//! that nobody changes it, and bound to the browser session that was asked.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use trunkline_model::{SessionId, Timestamp};
use trunkline_storage::VaultError;

use super::AuthorizationServer;

/// How long a person may think about a question.
const LIFETIME: Duration = Duration::from_mins(10);

#[derive(Serialize, Deserialize)]
struct Carried<T> {
    /// Microseconds.
    until: i64,
    /// Tells one page's answer from another's.
    page: String,
    what: T,
}

impl AuthorizationServer {
    /// Seals `what` for the answer to `page` out of this session.
    pub(super) fn carry<T: Serialize>(
        &self,
        page: &str,
        session: SessionId,
        what: T,
    ) -> Result<String, VaultError> {
        let until = self.clock.now().plus(LIFETIME).as_micros();
        let carried = Carried { until, page: page.to_owned(), what };
        let bytes = serde_json::to_vec(&carried).map_err(|_| VaultError::Refused)?;
        Ok(self.transactions.seal(&session.to_string(), &bytes)?.to_string())
    }

    /// What was sealed for this page and session; none when it was not, or
    /// too long ago.
    pub(super) fn carried<T: DeserializeOwned>(
        &self,
        page: &str,
        session: SessionId,
        sealed: &str,
    ) -> Option<T> {
        let sealed = sealed.parse().ok()?;
        let bytes = self.transactions.open(&session.to_string(), &sealed).ok()?;
        let carried: Carried<T> = serde_json::from_slice(&bytes).ok()?;
        let in_time = self.clock.now() < Timestamp::from_micros(carried.until);
        (in_time && carried.page == page).then_some(carried.what)
    }
}
