//! The end of a connection: its tokens are revoked where that can be done
//! (RFC 7009), and erased in any case.

use std::sync::Arc;

use trunkline_model::{Connection, ConnectionOwner, ServerName};
use trunkline_storage::StoreError;

use super::connections::Connections;
use super::held::Snapshot;
use super::sealed::{open_tokens, place_of_tokens};
use super::token;

impl Connections {
    /// Ends a connection: its tokens are revoked where that can be done, and
    /// erased in any case. False when there is none.
    ///
    /// # Errors
    /// [`StoreError`]: then it goes on.
    pub async fn disconnect(&self, server: &ServerName, owner: &ConnectionOwner) -> Result<bool, StoreError> {
        let held = self.held(server, owner);
        let _turn = held.turn.lock().await;
        let found = self.store.connections().find(server, owner).await?;
        let Some(connection) = found else { return Ok(false) };
        let in_memory = held.now.load().tokens.clone();
        let removed = self.store.connections().delete(server, owner).await?;
        self.publish(&held, Snapshot::default());
        let place = place_of_tokens(server, owner);
        let stored = connection.sealed.as_deref();
        let tokens = in_memory.or_else(|| open_tokens(&self.token_sealer, &place, stored?).ok());
        if let (Some(tokens), Some(endpoint)) = (tokens, &connection.detail.revocation_endpoint) {
            self.revoke(&connection, &tokens, endpoint).await;
        }
        tracing::info!(%server, %owner, "a connection was ended");
        Ok(removed)
    }

    /// Revokes what a new consent has replaced, without waiting for it: where
    /// it is of another client or issuer. Of the same one it is left to its
    /// end, because many authorization servers keep one grant for a client and
    /// a person, and the new tokens would end with the old.
    pub(super) fn revoke_replaced(self: &Arc<Self>, before: &Snapshot, new: &Connection) {
        let (Some(old), Some(tokens)) = (before.connection.clone(), before.tokens.clone()) else { return };
        let (then, now) = (&old.detail, &new.detail);
        let is_same = then.issuer == now.issuer && then.client_id == now.client_id;
        let (Some(endpoint), Some(tasks)) = (then.revocation_endpoint.clone(), self.tasks.get()) else {
            return;
        };
        if !is_same {
            let connections = Arc::clone(self);
            tasks.spawn_until_stop(async move { connections.revoke(&old, &tokens, &endpoint).await });
        }
    }

    /// Revokes at the authorization server (RFC 7009): the refresh token first,
    /// with which its access tokens end.
    async fn revoke(&self, connection: &Connection, tokens: &token::Tokens, endpoint: &str) {
        let detail = &connection.detail;
        let refresh = tokens.refresh_token.as_ref().map(|token| (token, "refresh_token"));
        for (token, hint) in refresh.into_iter().chain([(&tokens.access_token, "access_token")]) {
            // An assertion is good for one request.
            let proof = self.proof(&connection.server, &detail.issuer, &detail.client_id).await;
            let Ok(proof) = proof else { return };
            let form = [("token", token.expose()), ("token_type_hint", hint)];
            let Some(request) = token::request(endpoint, &proof, &form) else { return };
            match self.transport.send(request).await {
                Ok(response) if response.status().is_success() => {}
                Ok(response) => {
                    let status = response.status().as_u16();
                    tracing::warn!(server = %connection.server, status, "a token could not be revoked");
                }
                Err(error) => {
                    tracing::warn!(server = %connection.server, %error, "a token could not be revoked");
                }
            }
        }
    }
}
