//! What the configuration no longer names: servers leave grants at their
//! authorization servers, profiles leave keys and grants of ours. While
//! absent nothing of it can be used; after a day it is ended, so that who
//! comes back later under the same name finds nothing of it.
//!
//! Several processes may sweep at once: what one has ended the others find gone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use trunkline_model::{Clock, Timestamp, TokenTarget};
use trunkline_storage::{AbsenceKind, Store, StoreError};

use crate::client::Connections;

/// How long something may be absent: a file that was wrong for a while costs nothing.
pub const PATIENCE: Duration = Duration::from_hours(24);

/// What the configuration names.
#[derive(Debug, Clone, Default)]
pub struct Configured {
    pub servers: BTreeSet<String>,
    pub profiles: BTreeSet<String>,
    /// The sign-in providers whose people servers are shown.
    pub providers: BTreeSet<String>,
}

impl Configured {
    fn names(&self, kind: AbsenceKind, name: &str) -> bool {
        match kind {
            AbsenceKind::Server => self.servers.contains(name),
            // The admin API has grants too, and is always there.
            AbsenceKind::Profile => self.profiles.contains(name) || name == TokenTarget::AdminApi.as_str(),
            AbsenceKind::Provider => self.providers.contains(name),
        }
    }
}

/// What was ended, for the audit trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    pub kind: AbsenceKind,
    pub name: String,
    /// How many connections and clients, keys and grants, or people's sign-ins.
    pub count: u64,
}

/// Ends what has been absent for too long.
#[derive(Debug)]
pub struct Absent {
    pub store: Arc<Store>,
    pub connections: Arc<Connections>,
    pub clock: Arc<dyn Clock>,
}

impl Absent {
    /// Notes what is absent, forgets what is back, and ends what has been
    /// away for [`PATIENCE`].
    ///
    /// # Errors
    /// [`StoreError`]: what is left is seen to at the next sweep.
    pub async fn sweep(&self, configured: &Configured) -> Result<Vec<Ended>, StoreError> {
        let absences = self.store.absences();
        let now = self.clock.now();
        let mut kept = absences.kept().await?;
        kept.retain(|(kind, name)| !configured.names(*kind, name));
        let noted = absences.list().await?;
        for (kind, name) in &kept {
            if !noted.iter().any(|absence| absence.kind == *kind && absence.name == *name)
                && absences.note(*kind, name, now).await?
            {
                warn(*kind, name, now.plus(PATIENCE));
            }
        }
        let mut ended = Vec::new();
        for absence in noted {
            let (kind, name) = (absence.kind, absence.name);
            if !kept.iter().any(|(other, kept)| *other == kind && *kept == name) {
                absences.forget(kind, &name).await?;
            } else if now.since(absence.since) >= PATIENCE {
                let count = self.end(kind, &name, now).await?;
                absences.forget(kind, &name).await?;
                if count > 0 {
                    tracing::warn!(
                        kind = kind.as_str(),
                        name,
                        count,
                        "ended what was kept for something that is no longer configured"
                    );
                    ended.push(Ended { kind, name, count });
                }
            }
        }
        Ok(ended)
    }

    async fn end(&self, kind: AbsenceKind, name: &str, now: Timestamp) -> Result<u64, StoreError> {
        match kind {
            AbsenceKind::Server => self.connections.forget_server(name).await,
            AbsenceKind::Profile => self.store.absences().end_profile(name, now).await,
            AbsenceKind::Provider => self.store.absences().end_provider(name).await,
        }
    }
}

fn warn(kind: AbsenceKind, name: &str, until: Timestamp) {
    match kind {
        AbsenceKind::Server => tracing::warn!(
            server = name, %until,
            "the configuration no longer names this server; unless it does by then, its connections are revoked and \
             erased, and its registrations deleted"
        ),
        AbsenceKind::Profile => tracing::warn!(
            profile = name, %until,
            "the configuration no longer names this profile; unless it does by then, its keys and grants are revoked"
        ),
        AbsenceKind::Provider => tracing::warn!(
            issuer = name, %until,
            "no server is shown who signs in through this provider any more; unless one is by then, what proves \
             people is erased"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_configuration_has_to_name_the_admin_api() {
        let nothing = Configured::default();
        assert!(nothing.names(AbsenceKind::Profile, TokenTarget::AdminApi.as_str()));
        assert!(!nothing.names(AbsenceKind::Profile, "team"));
    }
}
