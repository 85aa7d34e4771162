//! Notifications of clients.

use super::{Request, extension};
use crate::jsonrpc::Fields;
use crate::upstream::Era;

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
        _ => Box::pin(extension::notify(request)).await,
    }
}
