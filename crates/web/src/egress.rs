//! The only outbound HTTP client. Every URL that the hub calls goes through
//! here, so that what must hold for all of them is said once: no redirect is
//! followed, no proxy comes from the environment, no cookie is kept, bodies
//! pass as they are, and a URL that an operator has not written reaches only
//! public addresses.

mod address;
mod connector;
mod error;
mod resolver;
mod response;

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
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
pub use response::Response;

use connector::Bounded;
use resolver::Resolver;

/// For TCP, over all addresses of a name.
const TCP_TIMEOUT: Duration = Duration::from_secs(5);
/// From the name to a connection that takes requests: room for a resolver
/// that asks twice, TCP and TLS.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Shorter than what common servers keep, so that we rarely meet a connection just being closed.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(4);
const POOL_IDLE_PER_HOST: usize = 256;

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
    client: Client<Bounded<HttpsConnector<HttpConnector<Resolver>>>, Full<Bytes>>,
    only_public: bool,
}

impl Egress {
    /// For URLs that an operator has configured: private and loopback
    /// addresses are theirs to name.
    ///
    /// # Errors
    /// [`EgressBuildError`] when the process has no TLS provider or no root certificates.
    pub fn upstream() -> Result<Self, EgressBuildError> {
        Self::build(false)
    }

    /// For URLs that come from anyone else (metadata, registries, clients):
    /// addresses that [`is_public`] refuses are refused, as a literal in the
    /// URL and as what a name resolves to; the address judged is the address
    /// connected to.
    ///
    /// # Errors
    /// As [`upstream`](Self::upstream).
    pub fn public() -> Result<Self, EgressBuildError> {
        Self::build(true)
    }

    #[expect(clippy::disallowed_methods, reason = "this is the outbound client")]
    fn build(only_public: bool) -> Result<Self, EgressBuildError> {
        // Without one rustls panics instead of giving an error.
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(EgressBuildError::NoTlsProvider);
        }
        let mut connector = HttpConnector::new_with_resolver(Resolver { only_public });
        connector.enforce_http(false);
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(TCP_TIMEOUT));
        let tls = ClientConfig::with_platform_verifier()
            .map_err(|error| EgressBuildError::Client(error.to_string()))?;
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .enable_http2()
            .wrap_connector(connector);
        let connector = Bounded { inner: connector, patience: CONNECT_TIMEOUT };
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .pool_max_idle_per_host(POOL_IDLE_PER_HOST)
            .build(connector);
        Ok(Self { client, only_public })
    }

    /// Sends one request and waits for the head of its answer.
    ///
    /// # Errors
    /// [`EgressError`]; [`EgressError::provably_not_sent`] tells whether the
    /// other side can have seen the request.
    pub async fn request(
        &self,
        method: Method,
        url: &Url,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Response, EgressError> {
        self.check(url)?;
        let uri: Uri = url.as_str().parse().map_err(|_| EgressError::Refused {
            target: error::target_of(url),
            reason: "the URL cannot be sent as it is",
        })?;
        let mut request = http::Request::new(Full::new(body.unwrap_or_default()));
        *request.method_mut() = method;
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = headers;
        match self.client.request(request).await {
            Ok(response) => Ok(Response::new(response, uri)),
            Err(error) => Err(EgressError::of_request(&error, url)),
        }
    }

    /// What the resolver never sees: the connector takes an address literal as it is.
    fn check(&self, url: &Url) -> Result<(), EgressError> {
        let refuse = |reason| Err(EgressError::Refused { target: error::target_of(url), reason });
        if !matches!(url.scheme(), "http" | "https") {
            return refuse("only http and https are called");
        }
        if !url.username().is_empty() || url.password().is_some() {
            return refuse("the URL has user information");
        }
        let literal_is_public = match url.host() {
            Some(url::Host::Ipv4(address)) => is_public(address.into()),
            Some(url::Host::Ipv6(address)) => is_public(address.into()),
            Some(url::Host::Domain(_)) => true,
            None => return refuse("the URL has no host"),
        };
        if self.only_public && !literal_is_public {
            return refuse(resolver::NOT_PUBLIC);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
