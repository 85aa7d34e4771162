//! Background tasks that a stopping process can wait for.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The process's background tasks. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    pub fn new() -> Self {
        Self::default()
    }

    /// Cancelled once the process stops; a task that runs for long waits for it.
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Runs `task` to its end.
    pub fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tracker.spawn(task);
    }

    /// Runs `task` until it ends or the process stops, whichever comes first.
    pub fn spawn_until_stop<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            stop.run_until_cancelled_owned(task).await;
        });
    }

    /// How many tasks run.
    pub fn count(&self) -> usize {
        self.tracker.len()
    }

    /// Tells every task to stop and waits for them, `deadline` at most. Says
    /// whether all have ended.
    pub async fn stop(&self, deadline: Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        tokio::time::timeout(deadline, self.tracker.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stopping_waits_for_tasks_and_gives_up_at_the_deadline() {
        let tasks = Tasks::new();
        tasks.spawn_until_stop(std::future::pending());
        let stop = tasks.stop_token();
        tasks.spawn(async move { stop.cancelled().await });
        assert_eq!(tasks.count(), 2);
        assert!(tasks.stop(Duration::from_secs(5)).await);
        assert_eq!(tasks.count(), 0);

        let stubborn = Tasks::new();
        stubborn.spawn(std::future::pending());
        assert!(!stubborn.stop(Duration::from_millis(1)).await);
    }
}
