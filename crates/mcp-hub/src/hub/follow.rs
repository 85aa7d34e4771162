//! What happens without being asked for: servers that speak up, lists that
//! change, time that passes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use trunkline_model::{Caller, ServerName};

use super::Hub;
use super::subscriptions::UPDATED;
use super::views::ViewCell;
use crate::bridge::{task, task_ids};
use crate::catalog::{ListChanged, ListKind};
use crate::downstream::subscriber::Subscriber;
use crate::jsonrpc::{Fields, splice};
use crate::method::Request;
use crate::upstream::{self, Era, InstanceKey, Outgoing, Scope, ServerEvent};

/// How long a server may take to accept a log level.
const LOG_LEVEL_TIMEOUT: Duration = Duration::from_secs(30);

impl Hub {
    /// Tells the servers which log messages the caller's sessions want.
    pub(crate) fn spread_log_level(self: &Arc<Self>, request: &Arc<Request>) {
        let cell = self.view_cell(request);
        for (server, greeting) in &cell.current().greetings {
            let logs = greeting.has_capability("logging");
            if logs && greeting.era == Era::Legacy {
                let (hub, request, server) = (Arc::clone(self), Arc::clone(request), server.clone());
                self.tasks.spawn(async move { hub.send_log_level(&server, &request).await });
            }
        }
    }

    async fn send_log_level(&self, server: &ServerName, request: &Request) {
        let permit = self.guard.housekeeping(server);
        let sending = async {
            let (key, lease) = self.connection(server, request).await?;
            let level = match (&key.scope, &request.session) {
                (Scope::Session(..), Some(session)) => session.subscriber.log_level(),
                // Whoever else shares it is not to miss anything.
                _ => self.sessions.lowest_level(request.caller.identity()),
            };
            match set_level(level) {
                Some(outgoing) => lease.call(&permit, outgoing).await.map(drop),
                None => Ok(()),
            }
        };
        // A server that does not answer must not keep its place taken.
        if let Err(error) = upstream::within(LOG_LEVEL_TIMEOUT, sending).await {
            tracing::debug!(%server, %error, "the log level could not be passed on");
        }
    }
}

fn set_level(level: u8) -> Option<Outgoing> {
    let id = upstream::next_id();
    let body = crate::method::set_level_request(id, level)?;
    Some(Outgoing { id, method: "logging/setLevel".to_owned(), body, name: None, param_headers: Vec::new() })
}

/// Hears what servers say without having been asked.
pub(super) async fn hear(hub: Arc<Hub>, mut arriving: mpsc::Receiver<(InstanceKey, ServerEvent)>) {
    while let Some((key, event)) = arriving.recv().await {
        match event {
            ServerEvent::Notification(message) => hub.heard(&key, &message),
            ServerEvent::Question(question, reply) => hub.asked_aside(&key, question, reply),
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
            Some(method) if is_of_instance(method) => self.lists_changed(key, method),
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
                && !self.hears_otherwise(subscriber, key)
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

impl Hub {
    /// Whether a session has an instance of its own at the server, which tells
    /// it what concerns it.
    fn hears_otherwise(&self, subscriber: &Subscriber, key: &InstanceKey) -> bool {
        if !matches!(key.scope, Scope::Identity(..)) {
            return false;
        }
        let offer = subscriber.offer.get().cloned().unwrap_or_default();
        let identity = subscriber.caller.identity().clone();
        let own = self.upstreams.key(&key.server, identity, subscriber.session, &offer);
        own.is_some_and(|own| matches!(own.scope, Scope::Session(..)) && self.upstreams.serves(&own))
    }
}

/// Tells clients whose lists changed: those that are shown something else
/// than when they were told last.
pub(super) async fn tell(hub: Arc<Hub>, mut changes: mpsc::Receiver<ListChanged>) {
    while let Some(change) = changes.recv().await {
        let (concerned, tell, configured) = match change {
            ListChanged::Configuration(listening) => (listening, true, true),
            ListChanged::Instance { key, tell } => {
                let mut concerned = Vec::new();
                hub.subscribers.each(|subscriber| {
                    if subscriber.sees(&key) {
                        concerned.push(Arc::clone(subscriber));
                    }
                });
                (concerned, tell, false)
            }
        };
        let mut views: Vec<(Arc<ViewCell>, Vec<ListKind>)> = Vec::new();
        for subscriber in concerned {
            let Some(view) = hub.view_cell_for(&subscriber) else { continue };
            let known = views.iter().position(|(known, _)| Arc::ptr_eq(known, &view));
            let index = known.unwrap_or_else(|| {
                let changes = if configured { view.changes_of_configuration() } else { view.changes() };
                views.push((view, changes));
                views.len() - 1
            });
            let kinds = views.get(index).map(|(_, kinds)| kinds).filter(|_| tell);
            for kind in kinds.into_iter().flatten() {
                subscriber.list_changed(*kind);
            }
            // Views are made anew here, and there may be many.
            tokio::task::yield_now().await;
        }
    }
}

impl Hub {
    /// Forgets the sessions that nobody uses, and ends what servers keep for
    /// sessions that are no more.
    pub(super) fn sweep_sessions(&self) {
        // In this order: a session is there before anything is there for it.
        let served = self.upstreams.sessions();
        let dropped = self.sessions.sweep();
        let living = self.sessions.living();
        let ended = served.into_iter().filter(|session| !living.contains(session)).chain(dropped);
        self.forget_sessions(&ended.collect());
    }
}

/// Forgets what nobody uses any more.
pub(super) async fn sweep(hub: Arc<Hub>) {
    let mut minute = tokio::time::interval(Duration::from_mins(1));
    loop {
        minute.tick().await;
        hub.sweep_sessions();
        hub.suspended.sweep();
        hub.live_tasks.sweep();
        hub.sweep_subscriptions();
        // Before the lists: a view in use keeps those that it is made of.
        hub.sweep_views();
        hub.catalog.sweep();
    }
}
