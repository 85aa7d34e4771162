//! Finding the authorization server of a server: from its 401, from its
//! metadata, or where servers of 2025-03-26 have it (2026-07-28 and
//! 2025-03-26, basic/authorization; RFC 9728, RFC 8414).

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{Request, Response, StatusCode};
use serde::de::DeserializeOwned;
use thiserror::Error;
use url::Url;

use super::challenge::Challenge;
use super::metadata::{
    Lie, ResourceMetadata, ServerMetadata, Trust, resource_metadata_urls, server_metadata_urls,
};
use super::transport::{Transport, TransportError};

/// A request that every server with sign-in answers with a challenge. It does nothing.
const PROBE: &str = concat!(
    r#"{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{"_meta":{"#,
    r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"#,
    r#""io.modelcontextprotocol/clientInfo":{"name":"trunkline","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}}}}"#
);

/// What was found.
#[derive(Debug, Clone)]
pub(super) struct Discovered {
    /// What tokens are asked for (RFC 8707).
    pub resource: String,
    pub metadata: ServerMetadata,
    /// What the server asks for: in its challenge, else in its metadata.
    pub scopes: Vec<String>,
}

/// Why there is no authorization server to ask.
#[derive(Debug, Error)]
pub enum DiscoveryError {
    #[error("{asked} cannot be reached: {source}")]
    Unreachable {
        asked: String,
        #[source]
        source: TransportError,
    },
    #[error("{asked} answers HTTP {status}")]
    Failing { asked: String, status: u16 },
    #[error("the metadata at {asked} is not believed: {lie}")]
    Lie { asked: String, lie: Lie },
    #[error("the authorization server {issuer} has no metadata that can be read")]
    NoMetadata { issuer: String },
}

/// Finds the authorization server of `server`.
///
/// # Errors
/// [`DiscoveryError`] in words for a person.
pub(super) async fn discover(transport: &dyn Transport, server: &Url) -> Result<Discovered, DiscoveryError> {
    let challenge = probe(transport, server).await?.unwrap_or_default();
    let Some((asked, resource)) = resource_metadata(transport, server, &challenge).await? else {
        return assumed(transport, server, &challenge).await;
    };
    resource.check(server).map_err(|lie| DiscoveryError::Lie { asked, lie })?;
    let mut first_error = None;
    for issuer in &resource.authorization_servers {
        match server_metadata(transport, issuer, server).await {
            Ok(Some(metadata)) => {
                let asked_for = challenge.scopes();
                let supported = resource.scopes_supported.clone().unwrap_or_default();
                return Ok(Discovered {
                    resource: resource.resource.clone(),
                    metadata,
                    scopes: if asked_for.is_empty() { supported } else { asked_for },
                });
            }
            Ok(None) => {
                first_error.get_or_insert(DiscoveryError::NoMetadata { issuer: issuer.clone() });
            }
            Err(error) => {
                first_error.get_or_insert(error);
            }
        }
    }
    Err(first_error.unwrap_or(DiscoveryError::NoMetadata { issuer: server.to_string() }))
}

/// Asks the server without a credential for its challenge.
async fn probe(transport: &dyn Transport, server: &Url) -> Result<Option<Challenge>, DiscoveryError> {
    let unreachable = |source| DiscoveryError::Unreachable { asked: server.to_string(), source };
    let request = Request::post(server.as_str())
        .header(CONTENT_TYPE, "application/json")
        .header(ACCEPT, "application/json, text/event-stream")
        .header("mcp-protocol-version", "2026-07-28")
        .header("mcp-method", "server/discover")
        .body(Bytes::from_static(PROBE.as_bytes()))
        .map_err(|error| unreachable(TransportError::Refused(error.to_string())))?;
    match transport.send(request).await {
        Ok(response) if response.status() == StatusCode::UNAUTHORIZED => {
            Ok(Challenge::of(response.headers()))
        }
        // A server that answers has no challenge for this request; its metadata may say more.
        Ok(_) | Err(TransportError::TimedOut | TransportError::TooLarge) => Ok(None),
        Err(source) => Err(unreachable(source)),
    }
}

/// The first document that there is, and where it was.
async fn resource_metadata(
    transport: &dyn Transport,
    server: &Url,
    challenge: &Challenge,
) -> Result<Option<(String, ResourceMetadata)>, DiscoveryError> {
    let told = challenge.resource_metadata.clone();
    let trusted = |url: &String| {
        Url::parse(url).is_ok_and(|url| url.scheme() == "https" || url.origin() == server.origin())
    };
    if let Some(url) = told.as_ref().filter(|url| !trusted(url)) {
        let lie = Lie::Endpoint { what: "challenge", url: super::metadata::cut(url), fault: "is not https" };
        return Err(DiscoveryError::Lie { asked: server.to_string(), lie });
    }
    for url in told.into_iter().chain(resource_metadata_urls(server)) {
        if let Some(document) = document(transport, &url).await? {
            return Ok(Some((url, document)));
        }
    }
    Ok(None)
}

/// The metadata of an issuer, checked; none when there is none to be read.
pub(super) async fn server_metadata(
    transport: &dyn Transport,
    issuer: &str,
    server: &Url,
) -> Result<Option<ServerMetadata>, DiscoveryError> {
    let lie = |asked: &str, lie| DiscoveryError::Lie { asked: asked.to_owned(), lie };
    let urls = server_metadata_urls(issuer).map_err(|fault| lie(server.as_str(), fault))?;
    for url in urls {
        let Some(metadata) = document::<ServerMetadata>(transport, &url).await? else { continue };
        metadata.check(issuer, Trust::of(server)).map_err(|fault| lie(&url, fault))?;
        return Ok(Some(metadata));
    }
    Ok(None)
}

/// A server without metadata of its own: its origin is the issuer, and the
/// endpoints have fixed names when there is no document (2025-03-26,
/// basic/authorization).
async fn assumed(
    transport: &dyn Transport,
    server: &Url,
    challenge: &Challenge,
) -> Result<Discovered, DiscoveryError> {
    let origin = server.origin().ascii_serialization();
    let found = server_metadata(transport, &origin, server).await?;
    let metadata = found.unwrap_or_else(|| ServerMetadata::without_document(&origin));
    let mut resource = server.clone();
    resource.set_query(None);
    resource.set_fragment(None);
    Ok(Discovered { resource: resource.to_string(), scopes: challenge.scopes(), metadata })
}

/// The JSON at `url`; none where there is no such document.
async fn document<T: DeserializeOwned>(
    transport: &dyn Transport,
    url: &str,
) -> Result<Option<T>, DiscoveryError> {
    let unreachable = |source| DiscoveryError::Unreachable { asked: url.to_owned(), source };
    let request = Request::get(url)
        .header(ACCEPT, "application/json")
        .header("mcp-protocol-version", "2026-07-28")
        .body(Bytes::new())
        .map_err(|error| unreachable(TransportError::Refused(error.to_string())))?;
    let response: Response<Bytes> = transport.send(request).await.map_err(unreachable)?;
    let status = response.status();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        return Err(DiscoveryError::Failing { asked: url.to_owned(), status: status.as_u16() });
    }
    // A redirect is not followed: where it leads nobody has named.
    Ok(status.is_success().then(|| serde_json::from_slice(response.body()).ok()).flatten())
}
