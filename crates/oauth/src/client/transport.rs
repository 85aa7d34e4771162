//! How the client asks authorization servers: through the guard for URLs that
//! come from elsewhere.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use http::{Request, Response};
use thiserror::Error;

/// An exchange under way.
pub type Sending<'a> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, TransportError>> + Send + 'a>>;

/// Sends requests: follows no redirect, bounds size and time, and reaches
/// only what it may.
pub trait Transport: fmt::Debug + Send + Sync {
    fn send(&self, request: Request<Bytes>) -> Sending<'_>;
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TransportError {
    /// The address may not be asked.
    #[error("{0}")]
    Refused(String),
    /// Nothing was sent.
    #[error("{0}")]
    Unreachable(String),
    #[error("it did not answer in time")]
    TimedOut,
    #[error("its answer is too large")]
    TooLarge,
    /// The link broke after the request may have been read.
    #[error("{0}")]
    Broken(String),
}
