//! A bound on the whole way to a connection.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use thiserror::Error;
use tower::Service;

/// Finding the address, TCP and TLS together, for a connector that bounds TCP
/// alone: a server that accepts and then says nothing would otherwise hold
/// whoever calls it until their own patience ends.
#[derive(Debug, Clone)]
pub(super) struct Bounded<C> {
    pub(super) inner: C,
    pub(super) patience: Duration,
}

/// There was no connection in time.
#[derive(Debug, Error)]
#[error("no connection within {} s, TLS included", .patience.as_secs())]
pub(super) struct ConnectTimedOut {
    patience: Duration,
}

pub(super) type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl<C> Service<Uri> for Bounded<C>
where
    C: Service<Uri>,
    C::Future: Send + 'static,
    C::Error: Into<BoxError>,
{
    type Response = C::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<C::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let patience = self.patience;
        let connected = tokio::time::timeout(patience, self.inner.call(target));
        Box::pin(async move {
            match connected.await {
                Ok(connected) => connected.map_err(Into::into),
                Err(_) => Err(ConnectTimedOut { patience }.into()),
            }
        })
    }
}
