//! Where requests go.

use std::sync::Arc;

use http::{HeaderValue, Uri};
use url::{Position, Url};

use super::error;
use super::http1::{Origin, Origins};
use super::{EgressError, OutboundPolicy, resolver};

/// A URL that may be called, with what its requests share made once.
#[derive(Debug, Clone)]
pub struct Target(Arc<Parts>);

#[derive(Debug)]
pub(super) struct Parts {
    url: Url,
    /// What the request line says.
    pub(super) uri: Uri,
    pub(super) plain: Option<Plain>,
}

/// A server that is called without TLS.
#[derive(Debug)]
pub(super) struct Plain {
    pub(super) origin: Arc<Origin>,
    pub(super) host: HeaderValue,
}

impl Target {
    pub(super) fn new(url: &Url, origins: &Origins) -> Result<Self, EgressError> {
        let unfit = |reason| EgressError::Refused { target: error::target_of(url), reason };
        let unsendable = "the URL cannot be sent as it is";
        let whole: Uri = url.as_str().parse().map_err(|_| unfit(unsendable))?;
        if url.scheme() != "http" {
            return Ok(Self(Arc::new(Parts { url: url.clone(), uri: whole, plain: None })));
        }
        let host = &url[Position::BeforeHost..Position::AfterPort];
        let host = HeaderValue::from_str(host).map_err(|_| unfit(unsendable))?;
        let uri = whole.path_and_query().cloned().ok_or_else(|| unfit(unsendable))?.into();
        let origin = origins.origin(&error::target_of(url), &whole);
        Ok(Self(Arc::new(Parts { url: url.clone(), uri, plain: Some(Plain { origin, host }) })))
    }

    pub fn url(&self) -> &Url {
        &self.0.url
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.0
    }

    /// Scheme, host and port.
    pub(super) fn name(&self) -> String {
        error::target_of(&self.0.url)
    }
}

/// Whether this URL may be called at all. An address literal is judged here,
/// since the resolver never sees it: the connector takes it as it is.
pub(super) fn check(url: &Url, policy: Option<&OutboundPolicy>) -> Result<(), EgressError> {
    let refuse = |reason| Err(EgressError::Refused { target: error::target_of(url), reason });
    if !matches!(url.scheme(), "http" | "https") {
        return refuse("only http and https are called");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("the URL has user information");
    }
    let literal = match url.host() {
        Some(url::Host::Ipv4(address)) => Some(address.into()),
        Some(url::Host::Ipv6(address)) => Some(address.into()),
        Some(url::Host::Domain(_)) => None,
        None => return refuse("the URL has no host"),
    };
    let Some(policy) = policy else { return Ok(()) };
    if literal.is_some_and(|address| !policy.admits_address(address)) {
        return refuse(resolver::NOT_PUBLIC);
    }
    if url.scheme() == "http" && !policy.admits_plain(url) {
        return refuse("it must be https");
    }
    Ok(())
}
