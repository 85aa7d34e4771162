//! A tool of a legacy server that runs only as a task (2025-11-25,
//! basic/utilities/tasks), called by a client that knows nothing of tasks: the
//! hub begins the task and waits for it, and the client gets what it came to.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::patience::{Patience, for_task};
use super::relay::{Incoming, Relay, Step};
use super::task::Role;
use crate::Hub;
use crate::jsonrpc::{Message, text};
use crate::upstream::{self, InstanceKey, Outgoing, next_id, within};

/// How long a server may take to accept that a task is no longer wanted.
const PATIENCE: Duration = Duration::from_secs(10);

/// A task that the hub has begun for a client. Dropped before its end, it is
/// cancelled: nobody else could.
#[derive(Debug)]
pub(crate) struct HiddenTask {
    hub: Arc<Hub>,
    key: Arc<InstanceKey>,
    /// The server's own id of it.
    own: String,
    has_ended: bool,
}

impl HiddenTask {
    pub(super) fn has_ended(&mut self) {
        self.has_ended = true;
    }
}

impl Drop for HiddenTask {
    fn drop(&mut self) {
        // Without a runtime the process ends, and its servers with it.
        if self.has_ended || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let (hub, key) = (Arc::clone(&self.hub), Arc::clone(&self.key));
        let request = about(next_id(), "tasks/cancel", &self.own);
        let tasks = hub.tasks.clone();
        tasks.spawn(async move {
            let permit = hub.guard.housekeeping(&key.server);
            let cancelling = async {
                let lease = hub.upstreams.connection(&key).await?;
                lease.call(&permit, request).await?.into_answer().await
            };
            if let Err(error) = upstream::within(PATIENCE, cancelling).await {
                tracing::debug!(server = %key.server, %error, "a task could not be cancelled");
            }
        });
    }
}

impl Relay {
    /// Asks for the result of a task that has begun: the answer comes when it
    /// has ended, and before it what the task asks.
    pub(super) async fn wait_for_task(&mut self, begun: &Message) -> Step {
        let (task, permit) = (self.destination.task.begins(begun), &self.permit);
        let (Some(task), Some(permit), Role::RunsHidden(hidden)) = (task, permit, &self.destination.task)
        else {
            return Step::Skip;
        };
        let (hub, key) = (Arc::clone(&self.request.hub), self.lease.key());
        let request = about(hidden.result_id, "tasks/result", &task.own);
        self.hidden = Some(HiddenTask { hub, key, own: task.own, has_ended: false });
        let patience = for_task(self.request.hub.call_timeout(&self.destination.server));
        self.patience = Patience::new(patience);
        let asking = within(patience, self.lease.call(permit, request));
        let asked = tokio::select! {
            biased;
            () = self.cancel.cancelled() => return Step::Cancelled,
            asked = asking => asked,
        };
        match asked {
            Ok(exchange) => {
                self.incoming = Incoming::of(exchange);
                Step::Skip
            }
            Err(error) => Step::Answered(Err(error)),
        }
    }
}

fn about(id: u64, method: &str, own: &str) -> Outgoing {
    let task = text(own);
    let body = Bytes::from(format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\",\"params\":{{\"taskId\":{task}}}}}"
    ));
    let (method, name) = (method.to_owned(), Some(own.to_owned()));
    Outgoing { id, method, body, name, param_headers: Vec::new() }
}
