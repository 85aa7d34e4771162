//! The only outbound HTTP client. Every URL that the hub calls goes through
//! here, so that what must hold for all of them is said once: no redirect is
//! followed, no proxy comes from the environment, no cookie is kept, bodies
//! pass as they are, and a URL that an operator has not written reaches only
//! public addresses.

mod address;
mod connector;
mod error;
mod http1;
mod policy;
mod resolver;
mod response;
mod target;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, header};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use rustls_platform_verifier::ConfigVerifierExt as _;
use thiserror::Error;
use url::Url;

pub use address::is_public;
pub use error::EgressError;
pub(crate) use policy::Network;
pub use policy::{OutboundPolicy, OutboundPolicyError};
pub use response::Response;
pub use target::Target;

use connector::Bounded;
use http1::Origins;
use resolver::Resolver;

/// For TCP, over all addresses of a name.
const TCP_TIMEOUT: Duration = Duration::from_secs(5);
/// From the name to a connection that takes requests: room for a resolver
/// that asks twice, TCP and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The outbound client could not be made.
#[derive(Debug, Error)]
pub enum EgressBuildError {
    #[error("no TLS provider is installed in this process")]
    NoTlsProvider,
    #[error("the outbound HTTP client could not be made: {0}")]
    Client(String),
}

/// The outbound HTTP client. Clones share one pool of connections.
///
/// It has no timeout for a whole request, since streams have no length: who
/// calls sets one.
#[derive(Debug, Clone)]
pub struct Egress {
    /// For `https`, where HTTP/2 may be agreed on.
    client: Client<Bounded<HttpsConnector<HttpConnector<Resolver>>>, Full<Bytes>>,
    /// For `http`.
    origins: Origins,
    reach: Reach,
}

/// Which addresses may be called; none means any.
type Reach = Option<Arc<OutboundPolicy>>;

impl Egress {
    /// For URLs that an operator has configured: private and loopback
    /// addresses are theirs to name.
    ///
    /// # Errors
    /// [`EgressBuildError`] when the process has no TLS provider or no root certificates.
    pub fn upstream() -> Result<Self, EgressBuildError> {
        Self::build(None)
    }

    /// For URLs that come from anyone else (metadata, registries, clients):
    /// beyond what `policy` opens they reach the public internet alone, by
    /// `https`. Addresses are judged as a literal in the URL and as what a
    /// name resolves to; the address judged is the address connected to.
    ///
    /// # Errors
    /// As [`upstream`](Self::upstream).
    pub fn guarded(policy: OutboundPolicy) -> Result<Self, EgressBuildError> {
        Self::build(Some(Arc::new(policy)))
    }

    #[expect(clippy::disallowed_methods, reason = "this is the outbound client")]
    fn build(reach: Reach) -> Result<Self, EgressBuildError> {
        // Without one rustls panics instead of giving an error.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(EgressBuildError::NoTlsProvider);
        }
        let mut connector = HttpConnector::new_with_resolver(Resolver { reach: reach.clone() });
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(TCP_TIMEOUT));
        let plain = Bounded { inner: connector.clone(), patience: CONNECT_TIMEOUT };
        let tls = ClientConfig::with_platform_verifier()
            .map_err(|error| EgressBuildError::Client(error.to_string()))?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_only()
            .enable_http1()
            .enable_http2()
            .wrap_connector(connector);
        let connector = Bounded { inner: connector, patience: CONNECT_TIMEOUT };
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(http1::IDLE_TIMEOUT)
            .pool_max_idle_per_host(http1::IDLE_PER_ORIGIN)
            .build(connector);
        Ok(Self { client, origins: Origins::new(plain), reach })
    }

    /// Whether the operator has opened anything inside.
    pub(crate) fn has_opened_any(&self) -> bool {
        self.reach.as_ref().is_none_or(|policy| policy.opens_any())
    }

    /// What requests to `url` go to. The targets of one origin share its connections.
    ///
    /// # Errors
    /// [`EgressError::Refused`] for a URL that is not called.
    pub fn target(&self, url: &Url) -> Result<Target, EgressError> {
        target::check(url, self.reach.as_deref())?;
        Target::new(url, &self.origins)
    }

    /// Sends one request and waits for the head of its answer.
    ///
    /// # Errors
    /// [`EgressError`]; [`EgressError::provably_not_sent`] tells whether the
    /// other side can have seen the request.
    pub async fn request(
        &self,
        method: Method,
        target: &Target,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Response, EgressError> {
        let mut request = http::Request::new(Full::new(body.unwrap_or_default()));
        *request.method_mut() = method;
        *request.uri_mut() = target.parts().uri.clone();
        *request.headers_mut() = headers;
        let Some(plain) = &target.parts().plain else {
            // On the heap: the future of a plain request is moved often and stays small.
            return match Box::pin(self.client.request(request)).await {
                Ok(response) => Ok(Response::new(response, target)),
                Err(error) => Err(EgressError::of_request(&error, error.is_connect(), target)),
            };
        };
        request.headers_mut().insert(header::HOST, plain.host.clone());
        match plain.origin.exchange(request).await {
            Ok((response, live)) => Ok(Response::driven(response, target, live)),
            Err(error) => {
                let unreached = matches!(error, http1::ExchangeError::Connect(_));
                Err(EgressError::of_request(&error, unreached, target))
            }
        }
    }
}

#[cfg(test)]
mod tests;
