//! Notifications of clients.

use super::Request;
use crate::jsonrpc::Fields;
use crate::upstream::Era;

/// Takes a notification. Those that the hub has no use for are taken too, as
/// JSON-RPC wants.
pub(crate) fn take(request: &Request) {
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
        _ => {}
    }
}
