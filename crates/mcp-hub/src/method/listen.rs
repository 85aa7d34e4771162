//! `subscriptions/listen` (2026-07-28, basic/patterns/subscriptions): the
//! acknowledgement leaves at once, whatever the servers are doing.

use std::sync::Arc;

use bytes::Bytes;

use super::{Request, invalid};
use crate::catalog::ListKind;
use crate::downstream::answer::RpcError;
use crate::downstream::subscriber::{Due, Subscriber};
use crate::jsonrpc::{Fields, meta, text};

/// A stream that a modern client opened.
#[derive(Debug)]
pub(crate) struct Listening {
    pub subscriber: Arc<Subscriber>,
    /// The id of the request: it tags all that the stream carries.
    id: String,
    reader: u64,
    /// The first message of the stream.
    pub acknowledgement: Bytes,
}

impl Listening {
    /// Subscribes to what the request asks for and the hub can tell.
    ///
    /// # Errors
    /// [`RpcError`] when the parameters are malformed.
    pub(crate) fn begin(request: &Request) -> Result<Self, RpcError> {
        let fields = request.fields(["notifications", "_meta"])?;
        let filter = fields.raw(0).unwrap_or("{}");
        let wanted = Fields::find(filter, ["toolsListChanged", "promptsListChanged", "resourcesListChanged"])
            .map_err(|fault| invalid(format!("\"notifications\": {fault}")))?;
        let kinds = [
            (ListKind::Tools, "toolsListChanged"),
            (ListKind::Prompts, "promptsListChanged"),
            (ListKind::Resources, "resourcesListChanged"),
        ];
        let accepted: Vec<_> = kinds
            .into_iter()
            .enumerate()
            .filter(|(index, _)| wanted.raw(*index) == Some("true"))
            .map(|(_, kind)| kind)
            .collect();
        let mut wants: Vec<ListKind> = accepted.iter().map(|(kind, _)| *kind).collect();
        if wants.contains(&ListKind::Resources) {
            wants.push(ListKind::Templates);
        }
        let subscriber = Arc::new(Subscriber::new(request.caller.clone(), None, wants));
        let _ = subscriber.offer.set(request.offer());
        let reader = subscriber.take_over();
        request.hub.subscribers.add(&subscriber);
        // What the stream is about must be known to change.
        let _ = request.hub.view_now(request);
        let members: Vec<String> = accepted.iter().map(|(_, name)| format!("\"{name}\":true")).collect();
        let id = request.id().to_owned();
        let acknowledgement = tagged(
            "notifications/subscriptions/acknowledged",
            &id,
            &format!(",\"notifications\":{{{}}}", members.join(",")),
        );
        Ok(Self { subscriber, id, reader, acknowledgement })
    }

    /// The next message of the stream; none when it is over.
    pub(crate) async fn next(&self) -> Option<Bytes> {
        match self.subscriber.next(self.reader).await {
            Due::ListChanged(kind) => Some(tagged(kind.changed(), &self.id, "")),
            Due::Message(message) => Some(message),
            Due::Superseded => None,
        }
    }
}

fn tagged(method: &str, id: &str, more: &str) -> Bytes {
    Bytes::from(format!(
        "{{\"jsonrpc\":\"2.0\",\"method\":\"{method}\",\"params\":{{\"_meta\":{{{}:{id}}}{more}}}}}",
        text(meta::SUBSCRIPTION_ID)
    ))
}
