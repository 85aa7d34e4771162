//! Why an outbound request failed.

use std::error::Error as StdError;

use thiserror::Error;
use url::Url;

use super::Target;
use super::resolver::{NOT_PUBLIC, NotPublic};

/// A failed outbound request. Its words name scheme, host and port of the
/// target and nothing else of the URL: paths and queries may carry credentials.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EgressError {
    /// We do not call this URL.
    #[error("{target} is not called: {reason}")]
    Refused { target: String, reason: &'static str },
    /// No connection could be had: name, network, TLS or time.
    #[error("{target} cannot be reached: {detail}")]
    Unreachable { target: String, detail: String },
    /// The connection broke before the answer's head had come.
    #[error("{target} did not answer: {detail}")]
    NoAnswer { target: String, detail: String },
    /// The answer broke off.
    #[error("{target} broke off its answer: {detail}")]
    BrokenAnswer { target: String, detail: String },
    /// The answer is larger than the caller takes.
    #[error("{target} answered with more than {limit} bytes")]
    TooLarge { target: String, limit: u64 },
}

impl EgressError {
    /// Whether the other side cannot have seen the request, so that sending
    /// it again is safe whatever it does.
    pub fn provably_not_sent(&self) -> bool {
        match self {
            Self::Refused { .. } | Self::Unreachable { .. } => true,
            Self::NoAnswer { .. } | Self::BrokenAnswer { .. } | Self::TooLarge { .. } => false,
        }
    }

    pub(super) fn of_request(error: &(dyn StdError + 'static), unreached: bool, target: &Target) -> Self {
        let target = target.name();
        if find::<NotPublic>(error).is_some() {
            return Self::Refused { target, reason: NOT_PUBLIC };
        }
        let detail = chain(error);
        // hyper calls a request cancelled when it gave it back without a byte written.
        let unsent = unreached || find::<hyper::Error>(error).is_some_and(hyper::Error::is_canceled);
        if unsent { Self::Unreachable { target, detail } } else { Self::NoAnswer { target, detail } }
    }

    pub(super) fn of_answer(error: &hyper::Error, target: String) -> Self {
        Self::BrokenAnswer { target, detail: chain(error) }
    }
}

/// Scheme, host and port.
pub(super) fn target_of(url: &Url) -> String {
    match url.origin() {
        url::Origin::Tuple(..) => url.origin().ascii_serialization(),
        url::Origin::Opaque(_) => format!("a {} URL", url.scheme()),
    }
}

/// The innermost reason says what an operator can act on; the outer ones
/// ("error sending request") say nothing.
pub(super) fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn find<'a, T: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a T> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}
