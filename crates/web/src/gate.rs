//! Host and Origin: a page of a foreign site must not reach the hub through
//! its visitor's browser, not even after rebinding its name to our address.
//! MCP 2025-11-25, "Streamable HTTP", security warning; RFC 9110 section 7.2.

mod authority;

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use futures_util::future::Either;
use http::uri::Uri;
use http::{HeaderMap, StatusCode, header};
use thiserror::Error;
use tower::{Layer, Service};
use url::Url;

use crate::Problem;
use authority::Authority;

/// Which names the hub answers to, and which pages may call it. As a layer it
/// refuses every other request.
#[derive(Debug, Clone)]
pub struct Gate {
    allowed: Arc<Allowed>,
    any_host: bool,
    witness: Option<Witness>,
}

/// Told of each refusal, and waited for before its answer leaves.
#[derive(Clone)]
struct Witness(Arc<Tell>);

type Tell = dyn Fn(GateRefusal, &Request) -> BoxedEnd + Send + Sync;

type BoxedEnd = Pin<Box<dyn Future<Output = ()> + Send>>;

impl fmt::Debug for Witness {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Witness")
    }
}

/// Whom to let through.
#[derive(Debug, Clone, Default)]
pub struct GateConfig {
    /// The listener is on a loopback address (or a Unix socket): `localhost`,
    /// `127.0.0.1` and `[::1]` are names of it, whatever the port.
    pub loopback: bool,
    /// Where clients find the hub: its host is a name, its origin may call.
    pub public_url: Option<Url>,
    /// Further names: `name` for every port, `name:port` for one.
    pub hosts: Vec<String>,
    /// Further origins, as `scheme://host[:port]`.
    pub origins: Vec<String>,
}

/// An entry of [`GateConfig`] is not what it must be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GateConfigError {
    #[error("{0:?} is not a host name or host:port")]
    Host(String),
    #[error("{0:?} is not an origin, such as https://app.example")]
    Origin(String),
}

/// Why a request is refused. The words are for the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum GateRefusal {
    #[error("the request names no host, or several, or none that can be read")]
    BadHost,
    #[error("this hub does not answer to that host name; the operator can add it to the allowed hosts")]
    ForeignHost,
    #[error("pages of that origin may not call this hub; the operator can add it to the allowed origins")]
    ForeignOrigin,
}

impl GateRefusal {
    pub fn status(self) -> StatusCode {
        match self {
            Self::BadHost => StatusCode::BAD_REQUEST,
            Self::ForeignHost | Self::ForeignOrigin => StatusCode::FORBIDDEN,
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::BadHost => "Bad Host",
            Self::ForeignHost => "Foreign Host",
            Self::ForeignOrigin => "Foreign Origin",
        }
    }
}

#[derive(Debug)]
struct Allowed {
    loopback: bool,
    hosts: Vec<Authority<String>>,
    origins: Vec<(Scheme, Authority<String>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
}

impl Gate {
    /// # Errors
    /// [`GateConfigError`] names the entry that cannot be read.
    pub fn new(config: &GateConfig) -> Result<Self, GateConfigError> {
        let mut hosts = Vec::new();
        let mut origins = Vec::new();
        for host in &config.hosts {
            let parsed = Authority::parse(host).ok_or_else(|| GateConfigError::Host(host.clone()))?;
            hosts.push(parsed.to_owned());
        }
        for origin in &config.origins {
            origins.push(owned_origin(origin)?);
        }
        if let Some(url) = &config.public_url {
            let (scheme, authority) = owned_origin(&url.origin().ascii_serialization())?;
            hosts.push(authority.clone().with_any_port());
            origins.push((scheme, authority));
        }
        let allowed = Arc::new(Allowed { loopback: config.loopback, hosts, origins });
        Ok(Self { allowed, any_host: false, witness: None })
    }

    /// The gate for routes that tell nobody anything: an orchestrator asks
    /// them under whatever name it has for us, often an address that only it
    /// knows. Pages of foreign origins stay out.
    #[must_use]
    pub fn for_any_host(self) -> Self {
        Self { any_host: true, ..self }
    }

    /// The gate, with somebody who is told of each refusal and waited for
    /// before its answer leaves: the trail.
    #[must_use]
    pub fn witnessed<F>(self, tell: impl Fn(GateRefusal, &Request) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let witness = Witness(Arc::new(move |refusal, request| Box::pin(tell(refusal, request))));
        Self { witness: Some(witness), ..self }
    }

    /// Judges a request by its target, Host and Origin.
    ///
    /// # Errors
    /// [`GateRefusal`] says what is wrong with it.
    pub fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), GateRefusal> {
        if !self.any_host {
            self.check_host(uri, headers)?;
        }
        self.check_origin(headers)
    }

    fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), GateRefusal> {
        let host = requested_host(uri, headers)?;
        let known = (self.allowed.loopback && host.is_loopback())
            || self.allowed.hosts.iter().any(|name| name.covers(&host));
        if known { Ok(()) } else { Err(GateRefusal::ForeignHost) }
    }

    /// A request without Origin does not come from a page of another site.
    fn check_origin(&self, headers: &HeaderMap) -> Result<(), GateRefusal> {
        let mut origins = headers.get_all(header::ORIGIN).iter();
        let Some(origin) = origins.next() else { return Ok(()) };
        if origins.next().is_some() {
            return Err(GateRefusal::ForeignOrigin);
        }
        let (scheme, authority) =
            origin.to_str().ok().and_then(parse_origin).ok_or(GateRefusal::ForeignOrigin)?;
        let known = authority.is_loopback()
            || self
                .allowed
                .origins
                .iter()
                .any(|(allowed, name)| *allowed == scheme && name.covers(&authority));
        if known { Ok(()) } else { Err(GateRefusal::ForeignOrigin) }
    }
}

/// The one host that a request names: `:authority` of HTTP/2, the target of
/// an absolute-form request, or the Host header. Where there are two they
/// must agree, since someone before or behind us may read the other one.
fn requested_host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Result<Authority<&'a str>, GateRefusal> {
    let mut header_values = headers.get_all(header::HOST).iter();
    let header_value = header_values.next();
    if header_values.next().is_some() {
        return Err(GateRefusal::BadHost);
    }
    let header_value = match header_value {
        Some(value) => Some(value.to_str().map_err(|_| GateRefusal::BadHost)?),
        None => None,
    };
    let target = uri.authority().map(http::uri::Authority::as_str);
    if let (Some(target), Some(header_value)) = (target, header_value)
        && !target.eq_ignore_ascii_case(header_value)
    {
        return Err(GateRefusal::BadHost);
    }
    target.or(header_value).and_then(Authority::parse).ok_or(GateRefusal::BadHost)
}

/// RFC 6454 section 6.2, for the two schemes that a page of ours can have.
/// `null` and the schemes of browser extensions have no place in it.
fn parse_origin(origin: &str) -> Option<(Scheme, Authority<&str>)> {
    let (scheme, authority) = origin.split_once("://")?;
    let (scheme, port) = match scheme {
        "http" => (Scheme::Http, 80),
        "https" => (Scheme::Https, 443),
        _ => return None,
    };
    Some((scheme, Authority::parse(authority)?.or_port(port)))
}

fn owned_origin(origin: &str) -> Result<(Scheme, Authority<String>), GateConfigError> {
    let (scheme, authority) =
        parse_origin(origin).ok_or_else(|| GateConfigError::Origin(origin.to_owned()))?;
    Ok((scheme, authority.to_owned()))
}

impl<S> Layer<S> for Gate {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Gated { inner, gate: self.clone() }
    }
}

/// The service that [`Gate`] makes as a layer.
#[derive(Debug, Clone)]
pub struct Gated<S> {
    inner: S,
    gate: Gate,
}

impl<S> Service<Request> for Gated<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<S::Future, Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        match self.gate.check(request.uri(), request.headers()) {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err(refusal) => {
                let told = self.gate.witness.as_ref().map(|witness| (witness.0)(refusal, &request));
                Either::Right(Box::pin(async move {
                    if let Some(told) = told {
                        told.await;
                    }
                    let problem = Problem::new(refusal.status(), refusal.title()).detail(refusal.to_string());
                    Ok(problem.into_response())
                }))
            }
        }
    }
}

#[cfg(test)]
mod tests;
