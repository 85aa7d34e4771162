//! Tasks that callers of this process have begun: where each lives, and under
//! which id its caller knows it. An id leads to its task without this; what
//! servers say of their tasks by themselves is led to clients by it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use trunkline_model::{Caller, ServerName};

use crate::upstream::{Era, InstanceKey};

/// Tasks that are remembered, in all and of one caller. One more works as
/// well, but its client hears nothing of it unasked.
const MOST: usize = 16_384;
const MOST_OF_ONE: usize = 256;

/// A task of a caller.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub caller: Caller,
    /// The id that the caller knows it by.
    pub id: Arc<str>,
    /// The instance that runs it.
    pub key: Arc<InstanceKey>,
    pub era: Era,
    until: Instant,
}

impl Known {
    /// A task that is remembered for `lifetime`.
    pub(crate) fn new(
        caller: &Caller,
        id: &str,
        key: Arc<InstanceKey>,
        era: Era,
        lifetime: Duration,
    ) -> Self {
        Self { caller: caller.clone(), id: id.into(), key, era, until: Instant::now() + lifetime }
    }
}

/// Who hears of the progress of a task, after the call that began it has been
/// answered.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    pub task: Known,
    /// The server's own id of the task.
    pub own: Box<str>,
    /// The token that the client gave, as raw JSON.
    pub token: Box<str>,
}

/// The tasks of callers.
#[derive(Debug, Default)]
pub(crate) struct LiveTasks(Mutex<Tasks>);

#[derive(Debug, Default)]
struct Tasks {
    /// By their server and its own id of them. Two servers, and two callers of
    /// one, may use the same.
    by_id: HashMap<(ServerName, String), Vec<Known>>,
    /// By the hub's own token of their progress.
    progress: HashMap<u64, Progress>,
}

impl LiveTasks {
    /// Remembers a task, and under which number its server reports `progress`
    /// for the client's token.
    pub(crate) fn remember(&self, own: &str, task: Known, progress: Option<(u64, &str)>) {
        let mut tasks = self.lock();
        let of_caller = tasks.by_id.values().flatten().filter(|known| known.caller == task.caller).count();
        if tasks.by_id.len() >= MOST || of_caller >= MOST_OF_ONE {
            tracing::debug!(server = %task.key.server, "too many tasks to remember another one");
            return;
        }
        if let Some((number, token)) = progress {
            let progress = Progress { task: task.clone(), own: own.into(), token: token.into() };
            tasks.progress.insert(number, progress);
        }
        let same = tasks.by_id.entry((task.key.server.clone(), own.to_owned())).or_default();
        same.retain(|known| known.caller != task.caller);
        same.push(task);
    }

    /// What is known of a caller's task.
    pub(crate) fn find(&self, server: &ServerName, own: &str, caller: &Caller) -> Option<Known> {
        let tasks = self.lock();
        let same = tasks.by_id.get(&(server.clone(), own.to_owned()))?;
        same.iter().find(|known| known.caller == *caller).cloned()
    }

    /// Whose task of this id the instance runs.
    pub(crate) fn at(&self, key: &InstanceKey, own: &str) -> Vec<Known> {
        let tasks = self.lock();
        let same = tasks.by_id.get(&(key.server.clone(), own.to_owned()));
        same.into_iter().flatten().filter(|known| *known.key == *key).cloned().collect()
    }

    /// Who hears of the progress that an instance reports under this number.
    pub(crate) fn progress(&self, key: &InstanceKey, number: u64) -> Option<Progress> {
        self.lock().progress.get(&number).filter(|progress| *progress.task.key == *key).cloned()
    }

    /// A caller's tasks of the legacy era, where they can be listed: the ids
    /// that the caller knows, by the servers' own, by instance.
    pub(crate) fn listable(&self, caller: &Caller) -> HashMap<Arc<InstanceKey>, HashMap<String, Arc<str>>> {
        let mut by_instance: HashMap<_, HashMap<_, _>> = HashMap::new();
        let is_listable = |known: &&Known| known.caller == *caller && known.era == Era::Legacy;
        for ((_, own), same) in &self.lock().by_id {
            for known in same.iter().filter(is_listable) {
                let ids = by_instance.entry(Arc::clone(&known.key)).or_default();
                ids.insert(own.clone(), Arc::clone(&known.id));
            }
        }
        by_instance
    }

    /// Forgets the tasks that their servers have forgotten.
    pub(crate) fn sweep(&self) {
        let now = Instant::now();
        let mut tasks = self.lock();
        tasks.progress.retain(|_, progress| progress.task.until > now);
        tasks.by_id.retain(|_, same| {
            same.retain(|known| known.until > now);
            !same.is_empty()
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Tasks> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use trunkline_model::{Principal, ProfileName};

    use super::*;
    use crate::upstream::Scope;

    #[expect(clippy::disallowed_methods, reason = "this test needs callers, not credentials")]
    fn caller(profile: &str) -> Caller {
        Caller::authenticated(Principal::Anonymous, ProfileName::new(profile).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_is_its_callers_until_its_time_is_over() {
        let server = ServerName::new("tracker").unwrap();
        let key = Arc::new(InstanceKey { server: server.clone(), scope: Scope::Everybody });
        let (one, other) = (caller("one"), caller("other"));
        let tasks = LiveTasks::default();
        let minute = Duration::from_mins(1);
        for caller in [&one, &other] {
            tasks.remember(
                "7",
                Known::new(caller, caller.profile().as_str(), Arc::clone(&key), Era::Legacy, minute),
                Some((3, "\"p\"")),
            );
        }
        assert_eq!(&*tasks.find(&server, "7", &other).unwrap().id, "other");
        assert_eq!(&*tasks.progress(&key, 3).unwrap().token, "\"p\"");
        assert_eq!(tasks.at(&key, "7").len(), 2);
        assert_eq!(tasks.listable(&one)[&key]["7"].as_ref(), "one");
        for index in 0..MOST_OF_ONE + 5 {
            let own = format!("more-{index}");
            tasks.remember(&own, Known::new(&one, &own, Arc::clone(&key), Era::Legacy, minute * 2), None);
        }
        assert_eq!(tasks.listable(&one)[&key].len(), MOST_OF_ONE);
        tokio::time::advance(minute).await;
        tasks.sweep();
        assert!(tasks.progress(&key, 3).is_none());
        assert!(tasks.find(&server, "7", &one).is_none() && tasks.find(&server, "more-0", &one).is_some());
    }
}
