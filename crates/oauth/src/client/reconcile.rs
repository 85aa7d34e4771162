//! What becomes of connections when what they stand on goes: users who are
//! deleted, and identities that are no longer kept.

use std::collections::HashMap;
use std::sync::PoisonError;

use trunkline_model::{ConnectionOwner, ConnectionState};
use trunkline_storage::StoreError;

use super::connections::Connections;
use super::held::{Held, Snapshot};
use super::steer::SteerError;

impl Connections {
    /// Ends every connection of an owner who is no more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget_owner(&self, owner: &ConnectionOwner) -> Result<usize, StoreError> {
        let mut ended = 0;
        for held in self.all().iter().filter(|held| held.owner == *owner) {
            ended += usize::from(self.disconnect(&held.server, owner).await?);
        }
        Ok(ended)
    }

    /// Ends the connections of users who have been deleted.
    ///
    /// # Errors
    /// [`StoreError`]: those that are left are ended another time.
    pub async fn forget_gone_owners(&self) -> Result<(), StoreError> {
        let mut owners: Vec<_> = self.list().into_iter().map(|connection| connection.owner).collect();
        owners.dedup();
        for owner in owners {
            if let Some(user) = owner.user()
                && self.store.users().find(user).await?.is_none()
            {
                self.forget_owner(&owner).await?;
            }
        }
        Ok(())
    }

    /// Ends every connection to a server and removes every client of it: how many.
    ///
    /// # Errors
    /// [`StoreError`]: those that are left stay.
    pub(crate) async fn forget_server(&self, server: &str) -> Result<u64, StoreError> {
        let mut ended = 0;
        for row in self.store.connections().list().await? {
            if row.server.as_str() == server {
                ended += u64::from(self.disconnect(&row.server, &row.owner).await?);
            }
        }
        for client in self.store.upstream_clients().list().await? {
            if client.server.as_str() == server {
                match self.delete_client(&client.server, &client.issuer).await {
                    Ok(_) => ended += 1,
                    Err(SteerError::Store(error)) => return Err(error),
                    // Another process has removed it.
                    Err(error) => tracing::debug!(%error, "a client is gone"),
                }
            }
        }
        Ok(ended)
    }

    /// Ends the connections that stand on an identity that has been erased,
    /// and takes up those whose person has signed in again.
    ///
    /// # Errors
    /// [`StoreError`]: those that are left are seen to another time.
    pub(super) async fn follow_identities(&self) -> Result<(), StoreError> {
        if !self.upstreams().iter().any(|upstream| upstream.auth.shows_caller_of().is_some()) {
            return Ok(());
        }
        let kept = self.store.kept_identities().list().await?;
        let kept: HashMap<_, _> = kept
            .into_iter()
            .map(|(user, provider, version, usable)| ((user, provider), usable.then_some(version)))
            .collect();
        let before = std::mem::replace(
            &mut *self.identities_seen.lock().unwrap_or_else(PoisonError::into_inner),
            kept.clone(),
        );
        for held in self.all() {
            let Some(upstream) = self.upstream(&held.server) else { continue };
            let (Some(provider), Some(user)) = (upstream.auth.shows_caller_of(), held.owner.user()) else {
                continue;
            };
            let now = held.now.load_full();
            let Some(connection) = &now.connection else { continue };
            let key = (user, provider.to_owned());
            match kept.get(&key) {
                None if connection.sealed.is_some() || now.tokens.is_some() => {
                    self.disconnect(&held.server, &held.owner).await?;
                }
                Some(Some(version))
                    if connection.state != ConnectionState::Connected
                        && before.get(&key) != Some(&Some(*version)) =>
                {
                    self.make_due(&held);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Lets the next round renew it, whatever it met before.
    pub(super) fn make_due(&self, held: &Held) {
        // Whoever has the turn is renewing it.
        let Ok(_turn) = held.turn.try_lock() else { return };
        let mut next = Snapshot::clone(&held.now.load());
        if let Some(connection) = &mut next.connection {
            connection.detail.refresh_at = Some(self.clock.now());
            connection.detail.retry_at = None;
            self.publish(held, next);
        }
    }
}
