//! What happens without being asked for: servers that speak up, lists that
//! change, time that passes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use trunkline_model::Caller;

use super::Hub;
use super::subscriptions::UPDATED;
use crate::bridge::{task, task_ids};
use crate::catalog::{ListChanged, ListKind};
use crate::jsonrpc::{Fields, splice};
use crate::method::Request;
use crate::upstream::{InstanceKey, ServerEvent};

/// How long a server may take to accept a log level.
const LOG_LEVEL_TIMEOUT: Duration = Duration::from_secs(30);

impl Hub {
    /// Tells the servers which log messages the caller's sessions want.
    pub(crate) fn spread_log_level(self: &Arc<Self>, request: &Request) {
        let level = self.sessions.lowest_level(request.caller.identity());
        let cell = self.view_cell(request);
        for (server, greeting) in &cell.current().greetings {
            let logs = greeting.has_capability("logging");
            let key =
                self.instance_key(server, &request.caller, request.session.as_deref(), &request.offer());
            if let (true, crate::upstream::Era::Legacy, Ok(key)) = (logs, greeting.era, key) {
                let hub = Arc::clone(self);
                self.tasks.spawn(async move { hub.send_log_level(&key, level).await });
            }
        }
    }

    async fn send_log_level(&self, key: &InstanceKey, level: u8) {
        let id = crate::upstream::next_id();
        let Some(body) = crate::method::set_level_request(id, level) else { return };
        let permit = self.guard.housekeeping(&key.server);
        let outgoing = crate::upstream::Outgoing {
            id,
            method: "logging/setLevel".to_owned(),
            body,
            name: None,
            param_headers: Vec::new(),
        };
        let sending = async {
            let lease = self.upstreams.connection(key).await?;
            lease.call(&permit, outgoing).await.map(drop)
        };
        // A server that does not answer must not keep its place taken.
        if let Err(error) = crate::upstream::within(LOG_LEVEL_TIMEOUT, sending).await {
            tracing::debug!(server = %key.server, %error, "the log level could not be passed on");
        }
    }
}

/// Hears what servers say without having been asked.
pub(super) async fn hear(hub: Arc<Hub>, mut arriving: mpsc::Receiver<(InstanceKey, ServerEvent)>) {
    while let Some((key, event)) = arriving.recv().await {
        match event {
            ServerEvent::Notification(message) => hub.heard(&key, &message),
            ServerEvent::Closed { reason } => {
                tracing::info!(server = %key.server, reason, "the connection to a server ended");
                hub.subscribe_again(&key);
            }
        }
    }
}

/// How a server tells that a task has changed (2025-11-25, basic/utilities/tasks).
const TASK_STATUS: &str = "notifications/tasks/status";

/// Whether a notification is about an instance, whatever request was under way.
pub(crate) fn is_of_instance(method: &str) -> bool {
    method == UPDATED || method == TASK_STATUS || ListKind::ALL.iter().any(|kind| kind.changed() == method)
}

impl Hub {
    /// Takes what an instance said, and gives it to whom it concerns.
    pub(crate) fn heard(self: &Arc<Self>, key: &InstanceKey, message: &crate::jsonrpc::Message) {
        match message.method() {
            Some(UPDATED) => self.resource_updated(key, message),
            Some(TASK_STATUS) => self.tell_of_task(key, message),
            Some(method) if is_of_instance(method) => self.catalog.changed(key),
            _ => self.pass_on(key, message),
        }
    }

    /// Gives what is about a task to the sessions of whoever began it, under
    /// the id that they know. Nobody else may learn of it.
    fn tell_of_task(&self, key: &InstanceKey, message: &crate::jsonrpc::Message) {
        let (Some(params), Some(own)) = (message.payload(), task::named_by(message)) else { return };
        for known in self.live_tasks.at(key, &own) {
            let Some(params) = task_ids::replaced(params, &own, &known.id) else { continue };
            let method = crate::jsonrpc::text(message.method().unwrap_or_default());
            let told =
                Bytes::from(format!("{{\"jsonrpc\":\"2.0\",\"method\":{method},\"params\":{params}}}"));
            let is_log = message.method() == Some("notifications/message");
            self.tell_caller(&known.caller, &told, |level| {
                !is_log || crate::method::passes_number(message.payload(), level)
            });
        }
    }

    /// Gives the progress of a task to whoever began it, under the token that
    /// its call had. All other progress was of a request that is over.
    fn tell_progress(&self, key: &InstanceKey, message: &crate::jsonrpc::Message) {
        let Some(params) = message.payload() else { return };
        let Ok(fields) = Fields::find(params, ["progressToken"]) else { return };
        let number = fields.raw(0).and_then(|raw| raw.parse().ok());
        let progress = number.and_then(|number| self.live_tasks.progress(key, number));
        let (Some(progress), Some(place)) = (progress, fields.range(0)) else { return };
        let params = splice(params, &[(place, &progress.token)]);
        let params = task_ids::replaced(&params, &progress.own, &progress.task.id).unwrap_or(params);
        let told =
            format!("{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{params}}}");
        self.tell_caller(&progress.task.caller, &Bytes::from(told), |_| true);
    }

    /// Tells the sessions of a caller whose log level suits.
    fn tell_caller(&self, caller: &Caller, told: &Bytes, suits: impl Fn(u8) -> bool) {
        self.subscribers.each(|subscriber| {
            let is_callers = subscriber.session.is_some() && subscriber.caller == *caller;
            if is_callers && suits(subscriber.log_level()) {
                subscriber.push(told.clone());
            }
        });
    }

    /// Gives a notification to the legacy sessions that the instance serves.
    fn pass_on(&self, key: &InstanceKey, message: &crate::jsonrpc::Message) {
        let is_log = match message.method() {
            Some("notifications/message") => true,
            Some("notifications/progress") => return self.tell_progress(key, message),
            Some("notifications/cancelled") => return,
            _ => false,
        };
        if task::named_by(message).is_some() {
            return self.tell_of_task(key, message);
        }
        let settings = self.settings.load();
        self.subscribers.each(|subscriber| {
            let concerned = subscriber.session.is_some()
                && subscriber.sees(key)
                && settings
                    .profiles
                    .get(subscriber.profile())
                    .is_some_and(|profile| profile.servers().any(|(server, _)| *server == key.server));
            if concerned
                && (!is_log || crate::method::passes_number(message.payload(), subscriber.log_level()))
            {
                subscriber.push(Bytes::clone(message.bytes()));
            }
        });
    }
}

/// Tells clients whose lists changed.
pub(super) async fn tell(hub: Arc<Hub>, mut changes: mpsc::Receiver<ListChanged>) {
    while let Some(change) = changes.recv().await {
        let settings = hub.settings.load();
        hub.subscribers.each(|subscriber| {
            let profile = settings.profiles.get(subscriber.profile());
            let concerned = subscriber.sees(&change.key)
                && profile
                    .is_some_and(|profile| profile.servers().any(|(server, _)| *server == change.key.server));
            if concerned {
                for kind in &change.kinds {
                    subscriber.list_changed(*kind);
                }
            }
        });
    }
}

/// Forgets what nobody uses any more.
pub(super) async fn sweep(hub: Arc<Hub>) {
    let mut minute = tokio::time::interval(Duration::from_mins(1));
    loop {
        minute.tick().await;
        for session in hub.sessions.sweep() {
            hub.upstreams.end_session(session);
        }
        hub.suspended.sweep();
        hub.live_tasks.sweep();
        hub.sweep_subscriptions();
        // Before the lists: a view in use keeps those that it is made of.
        hub.sweep_views();
        hub.catalog.sweep();
    }
}
