//! Notifications of clients.

use std::sync::Arc;
use std::time::Duration;

use super::{Request, extension};
use crate::jsonrpc::Fields;
use crate::upstream::{Era, within};

/// How long a server may take to accept a notification.
const PATIENCE: Duration = Duration::from_secs(10);

/// Takes a notification. One that the hub does not know may be an
/// extension's.
pub(crate) async fn take(request: &Request) {
    match request.message.method() {
        Some("notifications/initialized") => {
            // The servers start now, so that the first list is there sooner.
            let _ = request.hub.view_now(request);
        }
        Some("notifications/cancelled") if request.era == Era::Legacy => {
            let fields = Fields::find(request.params(), ["requestId"]);
            if let (Some(session), Ok(fields)) = (&request.session, fields)
                && let Some(id) = fields.raw(0)
            {
                session.cancel(id);
            }
        }
        Some("notifications/roots/list_changed") if request.era == Era::Legacy => pass_on(request),
        _ => Box::pin(extension::notify(request)).await,
    }
}

/// Passes a notification on to the legacy servers that are there for the
/// client. Those that start later ask by themselves.
fn pass_on(request: &Request) {
    let (hub, body) = (Arc::clone(&request.hub), request.message.bytes().clone());
    let (session, offer) = (request.session.as_ref().map(|session| session.id), request.offer());
    let key = |server| hub.upstreams.key(server, request.caller.identity().clone(), session, &offer);
    let keys = request.profile.servers().filter_map(|(server, _)| key(server));
    let leases: Vec<_> = keys.filter_map(|key| hub.upstreams.running(&key)).collect();
    let passing = Arc::clone(&hub);
    hub.tasks.spawn_until_stop(async move {
        for lease in leases.iter().filter(|lease| lease.greeting().era == Era::Legacy) {
            let permit = passing.guard.housekeeping(&lease.key().server);
            // One that does not take it is no reason to keep it from the others.
            let _ = within(PATIENCE, lease.notify(&permit, body.clone())).await;
        }
    });
}
