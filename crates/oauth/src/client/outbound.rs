//! The guard for URLs that others name, as the transport of the client.

use bytes::Bytes;
use http::Request;
use trunkline_web::Outbound;
use trunkline_web::outbound::OutboundError;

use super::transport::{Sending, Transport, TransportError};

impl Transport for Outbound {
    fn send(&self, request: Request<Bytes>) -> Sending<'_> {
        Box::pin(async move {
            Outbound::send(self, request).await.map_err(|error| match error {
                OutboundError::Refused(reason) => TransportError::Refused(reason),
                OutboundError::Unreachable(reason) => TransportError::Unreachable(reason),
                OutboundError::TimedOut { .. } => TransportError::TimedOut,
                OutboundError::TooLarge(_) => TransportError::TooLarge,
                OutboundError::Broken(reason) => TransportError::Broken(reason),
            })
        })
    }
}
