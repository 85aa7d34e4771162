//! Protects the state that travels with a client of the modern era.
//!
//! MRTR keeps nothing at the server: what it must remember goes out as
//! `requestState` and comes back from a client that may have altered it.

use std::time::Duration;

use anyhow::{Context as _, Result};
use rmcp::ErrorData;
use rmcp::model::{RequestStateCodec, SealOptions};

use crate::question::Answers;

/// How long a client may take to answer.
const LIFETIME: Duration = Duration::from_mins(15);

pub(crate) struct Seal(RequestStateCodec);

impl Seal {
    /// The key dies with the process, and every state it sealed.
    ///
    /// # Errors
    /// When the library refuses the key.
    pub(crate) fn with_random_key() -> Result<Self> {
        let key: [u8; 32] = rand::random();
        Ok(Self(RequestStateCodec::try_new(key).context("the key that seals states is refused")?))
    }

    /// `subject` is the request that the state belongs to: it opens for no other.
    pub(crate) fn seal(&self, answers: &Answers, subject: &str) -> Result<String, ErrorData> {
        let options = SealOptions::new().associated_data(subject.as_bytes()).ttl(LIFETIME);
        self.0
            .seal_json_with(answers, &options)
            .map_err(|error| ErrorData::internal_error(format!("cannot seal the state: {error}"), None))
    }

    /// # Errors
    /// `-32602` for a state that was altered, has expired, or belongs to another request.
    pub(crate) fn open(&self, state: &str, subject: &str) -> Result<Answers, ErrorData> {
        self.0
            .open_json_with(state, subject.as_bytes())
            .map_err(|error| ErrorData::invalid_params(format!("requestState is refused: {error}"), None))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sealed(seal: &Seal) -> String {
        let answers = Answers::from_iter([("name".to_owned(), json!("Ada"))]);
        seal.seal(&answers, "tools/call greet").expect("serializes")
    }

    #[test]
    fn a_state_opens_for_its_own_request() {
        let seal = Seal::with_random_key().unwrap();
        let answers = seal.open(&sealed(&seal), "tools/call greet").unwrap();
        assert_eq!(answers["name"], "Ada");
    }

    #[test]
    fn no_other_request_opens_it() {
        let seal = Seal::with_random_key().unwrap();
        let error = seal.open(&sealed(&seal), "tools/call delete").unwrap_err();
        assert_eq!(error.code.0, -32602);
    }

    #[test]
    fn an_altered_state_is_refused() {
        let seal = Seal::with_random_key().unwrap();
        assert!(seal.open(&(sealed(&seal) + "x"), "tools/call greet").is_err());
    }
}
