//! Clients whose id is the URL of a document about themselves
//! (`draft-ietf-oauth-client-id-metadata-document`).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header;
use thiserror::Error;
use trunkline_model::Timestamp;
use trunkline_web::OutboundError;
use url::Url;

use super::AuthorizationServer;
use super::client_metadata::{AuthMethod, ClientMetadata, MetadataFault};

/// How long a document is used without looking again.
const FRESH: Duration = Duration::from_mins(5);
/// After a failure, how long until it is fetched again.
const FAILED: Duration = Duration::from_secs(20);
/// How long a server has for its document: a client waits for it.
const PATIENCE: Duration = Duration::from_secs(3);
/// Where no host was ever reached, how long until the hub looks again whether
/// there is one. Until then it tells clients to register instead.
const NO_WAY_OUT: Duration = Duration::from_mins(10);
/// Bytes; the draft recommends 5 KB.
const LARGEST: usize = 32 * 1024;
const MOST: usize = 500;
const LONGEST_URL: usize = 512;

/// Why a document does not describe a client.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum DocumentFault {
    #[error("this hub takes no documents of clients")]
    Off,
    #[error("its address is not an https URL with a path, and without query, fragment, user or dots")]
    Address,
    #[error("{0}")]
    Fetch(#[from] OutboundError),
    #[error("its server did not answer within {} s", PATIENCE.as_secs())]
    Slow,
    #[error("its server answered with the status {0}")]
    Status(u16),
    #[error("its server did not send JSON")]
    MediaType,
    #[error("it is too large or cannot be read")]
    Malformed,
    #[error("its client_id is not the address it was fetched from")]
    OtherClient,
    #[error("a client with a document can have no shared secret")]
    Secret,
    #[error("{0}")]
    Metadata(#[from] MetadataFault),
}

type Outcome = Result<ClientMetadata, DocumentFault>;

/// Documents that were fetched lately.
#[derive(Debug)]
pub(super) struct Documents {
    fetched: Mutex<HashMap<String, (Timestamp, Arc<Outcome>)>>,
    way_out: Mutex<WayOut>,
}

/// Whether documents can be fetched at all, as far as was seen.
#[derive(Debug, Clone)]
enum WayOut {
    Untried,
    /// Some server has answered: one that does not says nothing about others.
    There,
    /// There is no route, or the client with this id could not be looked up.
    Missing {
        client: Option<String>,
        look_again: Timestamp,
    },
}

/// Whether clients may be told that their documents are fetched.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Yes,
    No,
    /// Not yet: this document is to be looked for first.
    NotBefore(String),
}

impl Documents {
    pub(super) fn new(has_route: bool, now: Timestamp) -> Self {
        let way_out = if has_route {
            WayOut::Untried
        } else {
            WayOut::Missing { client: None, look_again: now.plus(NO_WAY_OUT) }
        };
        Self { fetched: Mutex::default(), way_out: Mutex::new(way_out) }
    }

    /// A client that believes in vain that its document is fetched does not
    /// register, and cannot sign in.
    fn told(&self, now: Timestamp, has_route: impl FnOnce() -> bool) -> Told {
        let mut way_out = self.way_out.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *way_out {
            WayOut::Untried | WayOut::There => Told::Yes,
            WayOut::Missing { look_again, .. } if now < *look_again => Told::No,
            WayOut::Missing { client: None, .. } if has_route() => {
                *way_out = WayOut::Untried;
                Told::Yes
            }
            WayOut::Missing { client, look_again } => {
                *look_again = now.plus(NO_WAY_OUT);
                client.clone().map_or(Told::No, Told::NotBefore)
            }
        }
    }

    fn learn(&self, id: &str, outcome: &Outcome, now: Timestamp) {
        let mut way_out = self.way_out.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Err(
                DocumentFault::Slow
                | DocumentFault::Fetch(OutboundError::Unreachable(_) | OutboundError::TimedOut { .. }),
            ) => {
                if !matches!(*way_out, WayOut::There) {
                    let client = Some(id.to_owned());
                    *way_out = WayOut::Missing { client, look_again: now.plus(NO_WAY_OUT) };
                }
            }
            // Nothing was asked.
            Err(
                DocumentFault::Off | DocumentFault::Address | DocumentFault::Fetch(OutboundError::Refused(_)),
            ) => {}
            Ok(_) | Err(_) => *way_out = WayOut::There,
        }
    }

    /// Nothing that was fetched counts any more.
    pub(super) fn forget(&self) {
        self.fetched.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn recent(&self, id: &str, now: Timestamp) -> Option<Arc<Outcome>> {
        let fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        let (until, outcome) = fetched.get(id)?;
        (now < *until).then(|| Arc::clone(outcome))
    }

    fn keep(&self, id: &str, outcome: Arc<Outcome>, now: Timestamp) {
        let until = now.plus(if outcome.is_ok() { FRESH } else { FAILED });
        let mut fetched = self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        if fetched.len() >= MOST {
            fetched.retain(|_, (until, _)| now < *until);
        }
        if fetched.len() < MOST {
            fetched.insert(id.to_owned(), (until, outcome));
        }
    }
}

impl AuthorizationServer {
    /// Whether clients are told that their documents are fetched. Where that
    /// has failed it is tried again behind the answer, with the document that
    /// it failed with: no client waits for it, and no other host is asked.
    pub(super) fn can_fetch_documents(self: &Arc<Self>) -> bool {
        match self.documents.told(self.clock.now(), || self.outbound.has_way_out()) {
            Told::Yes => true,
            Told::No => false,
            Told::NotBefore(client) => {
                let server = Arc::clone(self);
                self.tasks.spawn_until_stop(async move { drop(server.looked_up(&client).await) });
                false
            }
        }
    }

    /// What the document at `id` says; none when the id is no URL at all.
    pub(super) async fn client_document(&self, id: &str) -> Result<Option<ClientMetadata>, DocumentFault> {
        if !id.starts_with("https://") && !id.starts_with("http://") {
            return Ok(None);
        }
        let settings = self.settings.load_full();
        if let Some((_, pinned)) = settings.pinned_documents.iter().find(|(url, _)| url == id) {
            return read(id, pinned.as_bytes()).map(Some);
        }
        if !settings.client_documents {
            return Err(DocumentFault::Off);
        }
        let now = self.clock.now();
        let outcome = match self.documents.recent(id, now) {
            Some(recent) => recent,
            None => self.looked_up(id).await,
        };
        outcome.as_ref().clone().map(Some)
    }

    async fn looked_up(&self, id: &str) -> Arc<Outcome> {
        let fetched = tokio::time::timeout(PATIENCE, Box::pin(self.fetch_document(id))).await;
        let outcome = Arc::new(fetched.unwrap_or(Err(DocumentFault::Slow)));
        let now = self.clock.now();
        self.documents.keep(id, Arc::clone(&outcome), now);
        self.documents.learn(id, &outcome, now);
        outcome
    }

    async fn fetch_document(&self, id: &str) -> Outcome {
        if !is_address(id) {
            return Err(DocumentFault::Address);
        }
        let request = http::Request::get(id)
            .header(header::ACCEPT, "application/json")
            .body(Bytes::new())
            .map_err(|_| DocumentFault::Address)?;
        let answer = self.outbound.send(request).await?;
        if answer.status() != 200 {
            return Err(DocumentFault::Status(answer.status().as_u16()));
        }
        let media_type = answer.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = media_type.and_then(|text| text.split(';').next()).map(str::trim).unwrap_or_default();
        if !essence.eq_ignore_ascii_case("application/json") && !essence.ends_with("+json") {
            return Err(DocumentFault::MediaType);
        }
        read(id, answer.body())
    }
}

/// The draft, section 3: what a URL must be to be a client's id. Plain `http`
/// is left to the outbound guard, which takes it for opened hosts alone.
fn is_address(id: &str) -> bool {
    let Ok(url) = Url::parse(id) else { return false };
    id.len() <= LONGEST_URL
        && url.as_str() == id
        && url.path() != "/"
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none()
        && !id.contains("/.")
}

fn read(id: &str, body: &[u8]) -> Outcome {
    #[derive(serde::Deserialize)]
    struct Document {
        client_id: String,
        #[serde(default)]
        client_secret: Option<serde_json::Value>,
        #[serde(flatten)]
        metadata: ClientMetadata,
    }

    if body.len() > LARGEST {
        return Err(DocumentFault::Malformed);
    }
    let document: Document = serde_json::from_slice(body).map_err(|_| DocumentFault::Malformed)?;
    if document.client_id != id {
        return Err(DocumentFault::OtherClient);
    }
    let mut metadata = document.metadata;
    metadata.token_endpoint_auth_method.get_or_insert(AuthMethod::None);
    // Grants that we do not offer to such a client are not its fault.
    metadata.retain_grant_types();
    let is_public = matches!(metadata.auth_method(), AuthMethod::None | AuthMethod::PrivateKeyJwt);
    if document.client_secret.is_some() || !is_public {
        return Err(DocumentFault::Secret);
    }
    Ok(metadata.checked()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_that_reached_nobody_says_so_until_it_has_looked_again() {
        let start = Timestamp::from_micros(0);
        let documents = Documents::new(true, start);
        let unreachable = Err(DocumentFault::Fetch(OutboundError::Unreachable("no name".to_owned())));
        let told = |now| documents.told(now, || true);
        assert_eq!(told(start), Told::Yes, "nothing speaks against it");
        documents.learn(ID, &Err(DocumentFault::Address), start);
        assert_eq!(told(start), Told::Yes);
        documents.learn(ID, &unreachable, start);
        assert_eq!(told(start), Told::No);
        let later = start.plus(NO_WAY_OUT);
        assert_eq!(told(later), Told::NotBefore(ID.to_owned()));
        assert_eq!(told(later), Told::No, "one look is enough");
        documents.learn(ID, &Err(DocumentFault::Status(404)), later);
        assert_eq!(told(later), Told::Yes, "there is a way out");
        documents.learn(ID, &Err(DocumentFault::Slow), later);
        assert_eq!(told(later), Told::Yes, "one host that is away says nothing about others");
    }

    #[test]
    fn a_hub_without_a_route_lets_no_client_wait_for_it() {
        let start = Timestamp::from_micros(0);
        let documents = Documents::new(false, start);
        assert_eq!(documents.told(start, || true), Told::No);
        let later = start.plus(NO_WAY_OUT);
        assert_eq!(documents.told(later, || false), Told::No);
        assert_eq!(documents.told(later.plus(NO_WAY_OUT), || true), Told::Yes, "it has come up");
    }

    const ID: &str = "https://app.example/client.json";

    #[test]
    fn only_a_plain_address_is_fetched() {
        assert!(is_address(ID));
        for bad in [
            "https://app.example/",
            "https://app.example",
            "https://app.example/c?x=1",
            "https://app.example/c#x",
            "https://user@app.example/c",
            "https://app.example/a/../c",
            "https://app.example/./c",
            "https://APP.example/c",
            "https://app.example/%2e%2e/../c",
        ] {
            assert!(!is_address(bad), "{bad}");
        }
    }

    #[test]
    fn a_document_speaks_for_its_own_address_alone() {
        let document = |id: &str, more: &str| {
            format!(r#"{{"client_id":"{id}","redirect_uris":["http://localhost/cb"]{more}}}"#)
        };
        assert!(read(ID, document(ID, "").as_bytes()).is_ok());
        let jwt = r#","grant_types":["authorization_code","urn:ietf:params:oauth:grant-type:jwt-bearer"]"#;
        assert!(read(ID, document(ID, jwt).as_bytes()).is_ok());
        let foreign = document("https://other.example/client.json", "");
        assert_eq!(read(ID, foreign.as_bytes()), Err(DocumentFault::OtherClient));
        for secret in [r#","client_secret":"x""#, r#","token_endpoint_auth_method":"client_secret_post""#] {
            assert_eq!(read(ID, document(ID, secret).as_bytes()), Err(DocumentFault::Secret));
        }
        assert_eq!(read(ID, b"<html>"), Err(DocumentFault::Malformed));
        assert_eq!(read(ID, &vec![b' '; LARGEST + 1]), Err(DocumentFault::Malformed));
    }
}
