//! Who a `client_id` is.

use thiserror::Error;
use trunkline_model::{ClientKind, OauthClient};
use trunkline_storage::StoreError;

use super::AuthorizationServer;
use super::client_document::DocumentFault;
use super::client_metadata::ClientMetadata;
use super::redirect;

/// A client that may ask.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) stored: OauthClient,
    pub(super) metadata: ClientMetadata,
}

/// Why a `client_id` is nobody.
#[derive(Debug, Error)]
pub(super) enum ClientFault {
    #[error("This hub does not know the client. It may have been removed; let your client register again.")]
    Unknown,
    #[error("The client has been blocked by an operator of this hub.")]
    Blocked,
    #[error("The client's document cannot be used: {0}")]
    Document(#[from] DocumentFault),
    #[error("This hub cannot look the client up now. Try again later.")]
    Unavailable(#[from] StoreError),
}

impl AuthorizationServer {
    /// The client with this id.
    pub(super) async fn client(&self, id: &str) -> Result<Client, ClientFault> {
        let stored = self.store.clients().find(id).await?;
        if stored.as_ref().is_some_and(|client| client.blocked_at.is_some()) {
            return Err(ClientFault::Blocked);
        }
        match stored {
            Some(stored) if stored.kind != ClientKind::Document => {
                let metadata =
                    serde_json::from_str(&stored.metadata).map_err(|error| StoreError::Damaged {
                        what: "an OAuth client",
                        detail: format!("{}: its metadata: {error}", stored.id),
                    })?;
                Ok(Client { stored, metadata })
            }
            stored => {
                let metadata = self.client_document(id).await?.ok_or(ClientFault::Unknown)?;
                let described = self.of_document(id, &metadata);
                // What the document says today counts, not what it said when it was first allowed.
                let stored = match stored {
                    Some(stored) => {
                        OauthClient { name: described.name, metadata: described.metadata, ..stored }
                    }
                    None => described,
                };
                Ok(Client { stored, metadata })
            }
        }
    }

    fn of_document(&self, id: &str, metadata: &ClientMetadata) -> OauthClient {
        OauthClient {
            id: id.to_owned(),
            kind: ClientKind::Document,
            name: metadata.client_name.clone().unwrap_or_default(),
            metadata: serde_json::to_string(metadata).unwrap_or_default(),
            secret_hash: None,
            previous_secret: None,
            secret_at: None,
            registration_hash: None,
            service_user: None,
            registered_from: "document".to_owned(),
            created_at: self.clock.now(),
            used_at: None,
            blocked_at: None,
        }
    }
}

impl Client {
    pub(super) fn id(&self) -> &str {
        &self.stored.id
    }

    /// What the client calls itself, or its id.
    pub(super) fn name(&self) -> &str {
        if self.stored.name.is_empty() { &self.stored.id } else { &self.stored.name }
    }

    /// The registered redirect URI that `asked` is, and the one to answer at.
    /// Without one the only registered one counts (RFC 6749 section 3.1.2.3).
    pub(super) fn redirect<'a>(&'a self, asked: Option<&'a str>) -> Option<(&'a str, &'a str)> {
        match (asked, self.metadata.redirect_uris.as_slice()) {
            (Some(asked), registered) => {
                let found = registered.iter().find(|uri| redirect::is_same(uri, asked))?;
                Some((found, asked))
            }
            (None, [only]) => Some((only, only)),
            (None, _) => None,
        }
    }
}
