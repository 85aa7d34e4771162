//! Everybody the hub knows, in memory.

use std::collections::HashMap;
use std::sync::Arc;

use trunkline_model::{BrowserSession, Clock, Members, Team, TeamId, Timestamp, TokenHash, User, UserId};
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

#[derive(Debug, Default)]
struct Directory {
    users: HashMap<UserId, Arc<User>>,
    teams: HashMap<TeamId, Arc<Team>>,
    belongs: HashMap<UserId, Belongs>,
    sessions: HashMap<TokenHash, Arc<BrowserSession>>,
    directory_tokens: Vec<TokenHash>,
}

/// What a user belongs to.
#[derive(Debug, Default)]
struct Belongs {
    teams: Vec<TeamId>,
    /// By whatever name identity providers and directories give them.
    groups: Vec<String>,
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

    /// The team with this id.
    pub fn team(&self, id: TeamId) -> Option<Arc<Team>> {
        self.directory.get().teams.get(&id).cloned()
    }

    /// The enabled user who signs in with `login`.
    pub fn by_login(&self, login: &str) -> Option<Arc<User>> {
        let known = self.directory.get();
        let user = known.users.values().find(|user| user.login.eq_ignore_ascii_case(login))?;
        user.disabled_at.is_none().then(|| Arc::clone(user))
    }

    /// Whether an enabled user may use a profile with these members.
    pub fn admits(&self, members: Option<&Members>, id: UserId) -> bool {
        let directory = self.directory.get();
        let Some(user) = directory.users.get(&id).filter(|user| user.disabled_at.is_none()) else {
            return false;
        };
        let Some(members) = members else { return true };
        if members.users.iter().any(|login| login.eq_ignore_ascii_case(&user.login)) {
            return true;
        }
        let Some(belongs) = directory.belongs.get(&id) else { return false };
        belongs.groups.iter().any(|group| members.groups.contains(group))
            || belongs.teams.iter().any(|team| directory.has_team(members, *team))
    }

    /// Whether the keys of a team may use a profile with these members.
    pub fn admits_team(&self, members: Option<&Members>, id: TeamId) -> bool {
        let directory = self.directory.get();
        directory.teams.contains_key(&id) && members.is_none_or(|members| directory.has_team(members, id))
    }

    /// The names of the teams and groups that a user belongs to.
    pub fn belongs_to(&self, id: UserId) -> (Vec<String>, Vec<String>) {
        let directory = self.directory.get();
        let Some(belongs) = directory.belongs.get(&id) else { return (Vec::new(), Vec::new()) };
        let team = |id: &TeamId| directory.teams.get(id).map(|team| team.name.clone());
        (belongs.teams.iter().filter_map(team).collect(), belongs.groups.clone())
    }

    /// The live sessions of a user, oldest first.
    pub fn sessions_of(&self, id: UserId) -> Vec<Arc<BrowserSession>> {
        let now = self.clock.now();
        let directory = self.directory.get();
        let mut sessions: Vec<_> = directory
            .sessions
            .values()
            .filter(|session| session.user == id && session.is_live(now))
            .cloned()
            .collect();
        sessions.sort_by_key(|session| session.id);
        sessions
    }

    /// Whether a directory proves itself with what has this hash.
    pub(crate) fn is_directory(&self, hash: &TokenHash) -> bool {
        self.directory.get().directory_tokens.contains(hash)
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
            let users = store.users();
            let mut belongs: HashMap<UserId, Belongs> = HashMap::new();
            for (team, user) in store.teams().members().await? {
                belongs.entry(user).or_default().teams.push(team);
            }
            for (user, group) in users.groups().await? {
                belongs.entry(user).or_default().groups.push(group);
            }
            // Which of them have ended by time is judged at each use.
            let sessions = store.browser_sessions().live(Timestamp::from_micros(0)).await?;
            Ok(Self {
                users: users.list().await?.into_iter().map(|user| (user.id, Arc::new(user))).collect(),
                teams: store
                    .teams()
                    .list()
                    .await?
                    .into_iter()
                    .map(|team| (team.id, Arc::new(team)))
                    .collect(),
                belongs,
                sessions: sessions.into_iter().map(|(hash, session)| (hash, Arc::new(session))).collect(),
                directory_tokens: users.directory_tokens().await?,
            })
        })
    }

    fn has_team(&self, members: &Members, id: TeamId) -> bool {
        self.teams.get(&id).is_some_and(|team| members.teams.contains(&team.name))
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
                Box::pin(std::future::ready(Ok(Directory::default())))
            }

            fn wait_past(&self, _version: i64) -> std::pin::Pin<Box<dyn Future<Output = i64> + Send + '_>> {
                Box::pin(std::future::pending())
            }
        }

        Self { directory: Mirror::load(Nobody).await.expect("always"), clock }
    }
}
