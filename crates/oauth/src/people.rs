//! Everybody the hub knows, in memory.

use std::collections::HashMap;
use std::sync::Arc;

use trunkline_model::{BrowserSession, Clock, Members, TokenHash, User, UserId};
use trunkline_storage::{Store, StoreError, Topic};
use trunkline_web::Tasks;

use crate::mirror::{Asked, Mirror, Stored};

/// Users, what they belong to, and who is signed in. Changes made by any
/// process are seen within a second; while the database is away, what was
/// known stays.
#[derive(Debug)]
pub struct People {
    directory: Mirror<Directory>,
    clock: Arc<dyn Clock>,
}

#[derive(Debug)]
struct Directory {
    users: HashMap<UserId, Arc<User>>,
    sessions: HashMap<TokenHash, Arc<BrowserSession>>,
}

impl People {
    /// Reads everybody.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    pub async fn load(store: Arc<Store>, clock: Arc<dyn Clock>) -> Result<Arc<Self>, StoreError> {
        let origin = Stored { store, what: "users", topics: &[Topic::People], read: Directory::read };
        Ok(Arc::new(Self { directory: Mirror::load(origin).await?, clock }))
    }

    /// Takes over changes now.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read; what is in memory stays.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        self.directory.catch_up().await
    }

    /// Follows changes until the process stops.
    pub fn follow_changes(self: &Arc<Self>, tasks: &Tasks) {
        let people = Arc::clone(self);
        tasks.spawn_until_stop(async move { people.directory.follow_changes().await });
    }

    /// The user with this id, disabled or not.
    pub fn user(&self, id: UserId) -> Option<Arc<User>> {
        self.directory.get().users.get(&id).cloned()
    }

    /// The user with this id, if their credentials open anything.
    pub fn enabled(&self, id: UserId) -> Option<Arc<User>> {
        self.user(id).filter(|user| user.disabled_at.is_none())
    }

    /// Whether an enabled user may use a profile with these members.
    pub fn admits(&self, members: Option<&Members>, id: UserId) -> bool {
        let Some(user) = self.enabled(id) else { return false };
        members
            .is_none_or(|members| members.users.iter().any(|login| login.eq_ignore_ascii_case(&user.login)))
    }

    /// The live session whose cookie has this hash.
    pub(crate) fn session(&self, hash: &TokenHash) -> Option<Arc<BrowserSession>> {
        let session = self.directory.get().sessions.get(hash).cloned()?;
        session.is_live(self.clock.now()).then_some(session)
    }
}

impl Directory {
    fn read(store: &Store) -> Asked<'_, Self> {
        Box::pin(async {
            let users = store.users().list().await?;
            // Which of them have ended by time is judged at each use.
            let sessions = store.browser_sessions().live(trunkline_model::Timestamp::from_micros(0)).await?;
            Ok(Self {
                users: users.into_iter().map(|user| (user.id, Arc::new(user))).collect(),
                sessions: sessions.into_iter().map(|(hash, session)| (hash, Arc::new(session))).collect(),
            })
        })
    }
}

#[cfg(test)]
impl People {
    /// Of a database that knows nobody and is never asked.
    pub(crate) async fn nobody(clock: Arc<dyn Clock>) -> Self {
        #[derive(Debug)]
        struct Nobody;

        impl crate::mirror::Origin<Directory> for Nobody {
            fn what(&self) -> &'static str {
                "users"
            }

            fn version(&self) -> Asked<'_, i64> {
                Box::pin(std::future::ready(Ok(0)))
            }

            fn changed_since(&self, _version: i64) -> Asked<'_, bool> {
                Box::pin(std::future::ready(Ok(false)))
            }

            fn read(&self) -> Asked<'_, Directory> {
                let nobody = Directory { users: HashMap::new(), sessions: HashMap::new() };
                Box::pin(std::future::ready(Ok(nobody)))
            }

            fn wait_past(&self, _version: i64) -> std::pin::Pin<Box<dyn Future<Output = i64> + Send + '_>> {
                Box::pin(std::future::pending())
            }
        }

        Self { directory: Mirror::load(Nobody).await.expect("always"), clock }
    }
}
