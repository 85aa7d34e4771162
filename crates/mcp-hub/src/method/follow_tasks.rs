//! Tasks that a stream of `subscriptions/listen` is about (SEP-2663, "status
//! notifications"): asked of each server for this stream alone, and told under
//! the ids that the client knows.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::AbortHandle;
use trunkline_model::Outcome;
use trunkline_profiles::{Asked, Kind};

use super::task::{self, About};
use super::{Request, invalid, meta};
use crate::bridge::declared::declares_extension;
use crate::bridge::task::EXTENSION;
use crate::bridge::task_ids;
use crate::downstream::answer::RpcError;
use crate::downstream::subscriber::Subscriber;
use crate::jsonrpc::{Fields, Message, meta as keys, splice, text};
use crate::upstream::pool::Lease;
use crate::upstream::{self, Exchange, InstanceKey, OpenExchange, Outgoing, UpstreamError, hop};

/// Tasks that one stream may be about.
const MOST_TASKS: usize = 256;
/// How long a server may take to accept that it is listened to.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a server whose stream has ended is left alone.
const AGAIN: Duration = Duration::from_secs(5);

/// Hears one server, until it is dropped.
#[derive(Debug)]
pub(super) struct Follower(AbortHandle);

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The tasks that the client wants to hear of, by the ids that it gave; those
/// that are not its own are left out.
///
/// # Errors
/// When the client does not declare the extension, or asks for too much.
pub(super) fn wanted(request: &Request, raw: Option<&str>) -> Result<Vec<(String, About)>, RpcError> {
    let Some(raw) = raw else { return Ok(Vec::new()) };
    let ids: Vec<String> =
        serde_json::from_str(raw).map_err(|_| invalid("\"taskIds\" must be a list of ids"))?;
    if !declares_extension(request.declared(), EXTENSION) {
        return Err(task::undeclared());
    }
    if ids.len() > MOST_TASKS {
        return Err(invalid(format!("\"taskIds\" may have {MOST_TASKS} ids")));
    }
    Ok(ids.into_iter().filter_map(|id| task::find(request, &id).map(|about| (id, about))).collect())
}

/// Tells `subscriber` what the servers say of its tasks.
pub(super) fn follow(
    request: &Arc<Request>,
    tasks: Vec<(String, About)>,
    subscriber: &Arc<Subscriber>,
) -> Vec<Follower> {
    let mut by_instance: HashMap<InstanceKey, Vec<(String, About)>> = HashMap::new();
    for (id, about) in tasks {
        let key = about.key.as_deref().cloned();
        let identity = || request.caller.identity().clone();
        let now = || request.hub.upstreams.key(&about.ticket.server, identity(), None, &request.offer());
        if let Some(key) = key.or_else(now) {
            by_instance.entry(key).or_default().push((id, about));
        }
    }
    let begin = |(key, tasks)| {
        let following =
            Following { request: Arc::clone(request), key, tasks, subscriber: Arc::downgrade(subscriber) };
        Follower(tokio::spawn(following.run()).abort_handle())
    };
    by_instance.into_iter().map(begin).collect()
}

struct Following {
    request: Arc<Request>,
    key: InstanceKey,
    tasks: Vec<(String, About)>,
    subscriber: Weak<Subscriber>,
}

impl Following {
    async fn run(mut self) {
        self.tasks.retain(|(id, about)| admitted(&self.request, id, about));
        while !self.tasks.is_empty() {
            match self.open().await {
                // The lease is held as long as the stream is open.
                Ok(Some((_lease, open))) => self.hear(open).await,
                // The server has no such stream: the client asks by itself.
                Ok(None) => return,
                Err(error) => {
                    tracing::debug!(server = %self.key.server, %error, "a server cannot be heard about tasks");
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn open(&self) -> Result<Option<(Lease, OpenExchange)>, UpstreamError> {
        let hub = &self.request.hub;
        let opening = async {
            let lease = hub.upstreams.connection(&self.key).await?;
            let permit = hub.guard.housekeeping(&self.key.server);
            let exchange = lease.call(&permit, self.listen()).await?;
            Ok((lease, exchange))
        };
        Ok(match upstream::within(PATIENCE, opening).await? {
            (lease, Exchange::Open(open)) => Some((lease, open)),
            (_, Exchange::Done(_)) => None,
        })
    }

    fn listen(&self) -> Outgoing {
        let id = upstream::next_id();
        let own: Vec<String> = self.tasks.iter().map(|(_, about)| text(&about.ticket.own)).collect();
        let members = hop::members(None, self.request.declared()).join(",");
        let body = format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"subscriptions/listen\",\"params\":\
             {{\"notifications\":{{\"taskIds\":[{}]}},\"_meta\":{{{members}}}}}}}",
            own.join(",")
        );
        Outgoing {
            id,
            method: "subscriptions/listen".to_owned(),
            body: body.into(),
            name: None,
            param_headers: Vec::new(),
        }
    }

    async fn hear(&self, mut open: OpenExchange) {
        while let Ok(message) = open.next().await {
            if message.method().is_none() {
                return;
            }
            let Some(subscriber) = self.subscriber.upgrade() else { return };
            if let Some(told) = self.told(&message) {
                subscriber.push(told);
            }
        }
    }

    /// What the client hears of a notification.
    fn told(&self, message: &Message) -> Option<Bytes> {
        let params = message.payload().filter(|_| message.method() == Some("notifications/tasks"))?;
        let own = Fields::find(params, ["taskId"]).ok()?.string(0).ok()??.into_owned();
        let (id, _) = self.tasks.iter().find(|(_, about)| about.ticket.own == own)?;
        // What it was not offered it learns nowhere.
        task::may_ask(self.request.declared(), params).ok()?;
        let params = tagged(&task_ids::replaced(params, &own, id)?, self.request.id())?;
        Some(format!("{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tasks\",\"params\":{params}}}").into())
    }
}

/// Whether the door lets the caller hear of the task.
fn admitted(request: &Request, id: &str, about: &About) -> bool {
    let mut action = request.action(Some(about.ticket.server.clone()), Some(about.ticket.tool.clone()));
    action.shown_as = Some(id.to_owned());
    let asked: Asked = request.asked(Kind::Tool, action);
    match request.hub.guard.admit(&request.caller, &request.profile, asked) {
        Ok(permit) => permit.settle(Outcome::Ok, 0).is_ok(),
        Err(refusal) => {
            drop(refusal);
            false
        }
    }
}

/// The parameters as part of the client's own stream.
fn tagged(params: &str, id: &str) -> Option<String> {
    let fields = Fields::find(params, ["_meta"]).ok()?;
    let tag = format!("{}:{id}", text(keys::SUBSCRIPTION_ID));
    Some(match (fields.raw(0), fields.range(0)) {
        (Some(members), Some(place)) => {
            let others = meta::rewritten(Some(members), None, None);
            let others = others.as_deref().and_then(|others| others.strip_prefix('{'));
            let members = others.map_or_else(|| format!("{{{tag}}}"), |others| format!("{{{tag},{others}"));
            splice(params, &[(place, &members)])
        }
        _ => splice(params, &[(1..1, &format!("\"_meta\":{{{tag}}},"))]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_notification_is_of_the_clients_own_stream() {
        let server = r#"{"taskId":"a","_meta":{"io.modelcontextprotocol/subscriptionId":77,"x":1e2}}"#;
        let own = r#"{"taskId":"a","_meta":{"io.modelcontextprotocol/subscriptionId":"l","x":1e2}}"#;
        assert_eq!(tagged(server, "\"l\"").unwrap(), own);
        let own = r#"{"_meta":{"io.modelcontextprotocol/subscriptionId":4},"taskId":"a"}"#;
        assert_eq!(tagged(r#"{"taskId":"a"}"#, "4").unwrap(), own);
        let only = r#"{"_meta":{"io.modelcontextprotocol/subscriptionId":77}}"#;
        assert_eq!(tagged(only, "4").unwrap(), r#"{"_meta":{"io.modelcontextprotocol/subscriptionId":4}}"#);
    }
}
