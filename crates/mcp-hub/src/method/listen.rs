//! `subscriptions/listen` (2026-07-28, basic/patterns/subscriptions): the
//! acknowledgement leaves at once, whatever the servers are doing.

use std::sync::Arc;

use bytes::Bytes;

use super::follow_tasks::{self, Follower};
use super::subscribe::subscribe_to;
use super::{Request, invalid};
use crate::catalog::ListKind;
use crate::catalog::resources::ResourceTarget;
use crate::downstream::answer::RpcError;
use crate::downstream::subscriber::{Due, Subscriber};
use crate::jsonrpc::{Fields, meta, text};

/// Resources that one stream may be about.
const MOST_RESOURCES: usize = 256;

/// A stream that a modern client opened.
#[derive(Debug)]
pub(crate) struct Listening {
    pub subscriber: Arc<Subscriber>,
    /// The id of the request: it tags all that the stream carries.
    id: String,
    reader: u64,
    /// What hears servers of tasks for this stream.
    _followers: Vec<Follower>,
    /// The first message of the stream.
    pub acknowledgement: Bytes,
}

impl Listening {
    /// Subscribes to what the request asks for and the hub can tell.
    ///
    /// # Errors
    /// [`RpcError`] when the parameters are malformed.
    pub(crate) fn begin(request: &Arc<Request>) -> Result<Self, RpcError> {
        let fields = request.fields(["notifications", "_meta"])?;
        let filter = fields.raw(0).unwrap_or("{}");
        let keys = [
            "toolsListChanged",
            "promptsListChanged",
            "resourcesListChanged",
            "resourceSubscriptions",
            "taskIds",
        ];
        let wanted =
            Fields::find(filter, keys).map_err(|fault| invalid(format!("\"notifications\": {fault}")))?;
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
            wants.extend([ListKind::Templates, ListKind::Skills]);
        }
        let subscriber = Arc::new(Subscriber::new(request.caller.clone(), None, wants));
        let _ = subscriber.offer.set(request.offer());
        let reader = subscriber.take_over();
        request.hub.subscribers.add(&subscriber);
        // What the stream is about must be known to change.
        let _ = request.hub.view_now(request);
        let mut members: Vec<String> = accepted.iter().map(|(_, name)| format!("\"{name}\":true")).collect();
        let resources = wanted_resources(request, wanted.raw(3))?;
        if !resources.is_empty() {
            let uris: Vec<String> = resources.iter().map(|(uri, _)| text(uri)).collect();
            members.push(format!("\"resourceSubscriptions\":[{}]", uris.join(",")));
            subscribe_behind(request, resources, &subscriber);
        }
        let mut followers = Vec::new();
        let tasks = follow_tasks::wanted(request, wanted.raw(4))?;
        if !tasks.is_empty() {
            let ids: Vec<String> = tasks.iter().map(|(id, _)| text(id)).collect();
            members.push(format!("\"taskIds\":[{}]", ids.join(",")));
            followers = follow_tasks::follow(request, tasks, &subscriber);
        }
        let id = request.id().to_owned();
        let acknowledgement = tagged(
            "notifications/subscriptions/acknowledged",
            &id,
            &format!(",\"notifications\":{{{}}}", members.join(",")),
        );
        Ok(Self { subscriber, id, reader, _followers: followers, acknowledgement })
    }

    /// The next message of the stream; none when it is over.
    pub(crate) async fn next(&self) -> Option<Bytes> {
        match self.subscriber.next(self.reader).await {
            Due::ListChanged(kind) => Some(tagged(kind.changed(), &self.id, "")),
            Due::Message(message) => Some(message),
            Due::Updated(uri) => {
                let more = format!(",\"uri\":{}", text(&uri));
                Some(tagged("notifications/resources/updated", &self.id, &more))
            }
            Due::Superseded => None,
        }
    }
}

/// The resources that the client wants to hear of and that there are. One
/// whose server has not listed anything yet is not known.
fn wanted_resources(request: &Request, raw: Option<&str>) -> Result<Vec<(String, ResourceTarget)>, RpcError> {
    let Some(raw) = raw else { return Ok(Vec::new()) };
    let uris: Vec<String> =
        serde_json::from_str(raw).map_err(|_| invalid("\"resourceSubscriptions\" must be a list of URIs"))?;
    if uris.len() > MOST_RESOURCES {
        return Err(invalid(format!("\"resourceSubscriptions\" may have {MOST_RESOURCES} URIs")));
    }
    let known = |uri: String| request.hub.resource_now(request, &uri).map(|target| (uri, target));
    Ok(uris.into_iter().filter_map(known).collect())
}

/// The acknowledgement does not wait for the servers.
fn subscribe_behind(
    request: &Arc<Request>,
    resources: Vec<(String, ResourceTarget)>,
    subscriber: &Arc<Subscriber>,
) {
    let (request, subscriber) = (Arc::clone(request), Arc::downgrade(subscriber));
    let tasks = request.hub.tasks.clone();
    tasks.spawn_until_stop(async move {
        for (uri, target) in resources {
            let Some(subscriber) = subscriber.upgrade() else { return };
            // What goes wrong is in the trail.
            let _ = Box::pin(subscribe_to(&request, target, &uri, &subscriber)).await;
        }
    });
}

fn tagged(method: &str, id: &str, more: &str) -> Bytes {
    Bytes::from(format!(
        "{{\"jsonrpc\":\"2.0\",\"method\":\"{method}\",\"params\":{{\"_meta\":{{{}:{id}}}{more}}}}}",
        text(meta::SUBSCRIPTION_ID)
    ))
}
