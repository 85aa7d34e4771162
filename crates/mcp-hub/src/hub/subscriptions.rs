//! Single resources that clients want to hear of (2025-11-25, server/resources,
//! "subscriptions"; 2026-07-28, basic/patterns/subscriptions). Each is asked of
//! its server once, however many want it, and until the last has gone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::OnceCell;
use tokio::task::AbortHandle;

use super::Hub;
use crate::downstream::subscriber::Subscriber;
use crate::jsonrpc::{Fields, Message, text};
use crate::upstream::hop;
use crate::upstream::pool::Lease;
use crate::upstream::{self, Era, Exchange, InstanceKey, OpenExchange, Outgoing, UpstreamError};

/// How long a server may take to accept a subscription, or its end.
const PATIENCE: Duration = Duration::from_secs(10);
pub(crate) const UPDATED: &str = "notifications/resources/updated";

/// What is subscribed to at which instance, by the server's own URI.
#[derive(Debug, Default)]
pub(crate) struct Subscriptions(Mutex<HashMap<Place, Arc<Subscribed>>>);

type Place = (InstanceKey, String);

/// One resource of one instance.
#[derive(Debug, Default)]
struct Subscribed {
    link: OnceCell<Link>,
    wanted: Mutex<Vec<Want>>,
}

/// Who wants to hear, and by which URI the client knows the resource.
#[derive(Debug)]
struct Want {
    subscriber: Weak<Subscriber>,
    shown: String,
}

/// What holds the subscription at the server. The lease keeps the instance:
/// one that idles has somebody to tell. Only a modern subscription is a request
/// that goes on, and takes the place of one.
#[derive(Debug)]
struct Link {
    lease: Lease,
    /// Hears a modern server; ends the subscription when it ends.
    listener: Option<AbortHandle>,
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(listener) = &self.listener {
            listener.abort();
        }
    }
}

/// Why a server did not accept a subscription.
#[derive(Debug)]
pub(crate) enum NotSubscribed {
    /// Its own words: an error object, as raw JSON.
    Refused(Message),
    Failed(UpstreamError),
}

impl Subscriptions {
    fn entry(&self, place: &Place) -> Arc<Subscribed> {
        Arc::clone(self.lock().entry(place.clone()).or_default())
    }

    /// Notes a want, also when its entry was given up meanwhile.
    fn want(&self, place: &Place, entry: &Arc<Subscribed>, want: Want) {
        let mut all = self.lock();
        let entry = all.entry(place.clone()).or_insert_with(|| Arc::clone(entry));
        let mut wanted = entry.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        if !wanted.iter().any(|known| known.subscriber.ptr_eq(&want.subscriber) && known.shown == want.shown)
        {
            wanted.push(want);
        }
    }

    /// Drops the wants that `gone` names and those of clients that have left;
    /// gives back what nobody wants any more.
    fn give_up(&self, gone: impl Fn(&Want) -> bool) -> Vec<(Place, Arc<Subscribed>)> {
        let unwanted = |entry: &mut Arc<Subscribed>| {
            let mut wanted = entry.wanted.lock().unwrap_or_else(PoisonError::into_inner);
            wanted.retain(|want| want.subscriber.strong_count() > 0 && !gone(want));
            // One that is being made is not wanted by anybody yet.
            wanted.is_empty() && entry.link.initialized()
        };
        self.lock().extract_if(|_, entry| unwanted(entry)).collect()
    }

    /// Takes out what was subscribed to at an instance that has ended, for
    /// those who still want it.
    fn take(&self, key: &InstanceKey) -> Vec<(Place, Vec<Want>)> {
        let ended: Vec<_> = self.lock().extract_if(|(place, _), _| place == key).collect();
        ended
            .into_iter()
            .map(|(place, entry)| {
                (place, std::mem::take(&mut *entry.wanted.lock().unwrap_or_else(PoisonError::into_inner)))
            })
            .collect()
    }

    /// Tells everybody who wants `uri` of this instance that it has changed.
    fn tell(&self, key: &InstanceKey, uri: &str) {
        let all = self.lock();
        for ((_, own), entry) in all.iter().filter(|((place, _), _)| place == key) {
            // A server may name a part of what was subscribed to.
            let Some(part) = uri.strip_prefix(own.as_str()) else { continue };
            for want in entry.wanted.lock().unwrap_or_else(PoisonError::into_inner).iter() {
                if let Some(subscriber) = want.subscriber.upgrade() {
                    subscriber.resource_updated(format!("{}{part}", want.shown));
                }
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Place, Arc<Subscribed>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hub {
    /// Subscribes `subscriber` to a resource, which its client knows as `shown`.
    pub(crate) async fn subscribe(
        self: &Arc<Self>,
        key: InstanceKey,
        own: String,
        shown: String,
        subscriber: &Arc<Subscriber>,
    ) -> Result<(), NotSubscribed> {
        let place = (key, own);
        let entry = self.subscriptions.entry(&place);
        let linked = entry.link.get_or_try_init(|| self.link_to(&place)).await;
        if let Err(error) = linked {
            self.subscriptions.lock().retain(|known, entry| *known != place || entry.link.initialized());
            return Err(error);
        }
        self.subscriptions.want(&place, &entry, Want { subscriber: Arc::downgrade(subscriber), shown });
        Ok(())
    }

    /// Ends what `subscriber` wants: of one resource, or of all.
    pub(crate) fn unsubscribe(self: &Arc<Self>, subscriber: &Arc<Subscriber>, shown: Option<&str>) {
        let of_subscriber = Arc::downgrade(subscriber);
        let gone = self.subscriptions.give_up(|want| {
            want.subscriber.ptr_eq(&of_subscriber) && shown.is_none_or(|shown| want.shown == shown)
        });
        self.end_all(gone);
    }

    /// Subscribes again to what was subscribed to at an instance that has
    /// ended. What changed meanwhile is not known: everybody is told so.
    pub(super) fn subscribe_again(self: &Arc<Self>, key: &InstanceKey) {
        for ((key, own), wanted) in self.subscriptions.take(key) {
            let hub = Arc::clone(self);
            self.tasks.spawn_until_stop(async move {
                for Want { subscriber, shown } in wanted {
                    let Some(subscriber) = subscriber.upgrade() else { continue };
                    let subscribed = hub.subscribe(key.clone(), own.clone(), shown.clone(), &subscriber).await;
                    match subscribed {
                        Ok(()) => subscriber.resource_updated(shown),
                        Err(error) => {
                            tracing::warn!(server = %key.server, ?error, "a subscription to a resource is lost");
                        }
                    }
                }
            });
        }
    }

    /// Ends the subscriptions of clients that have gone.
    pub(super) fn sweep_subscriptions(self: &Arc<Self>) {
        let gone = self.subscriptions.give_up(|_| false);
        self.end_all(gone);
    }

    /// A server said that a resource has changed.
    pub(crate) fn resource_updated(&self, key: &InstanceKey, message: &Message) {
        let fields = message.payload().and_then(|params| Fields::find(params, ["uri"]).ok());
        if let Some(uri) = fields.and_then(|fields| fields.string(0).ok().flatten().map(String::from)) {
            self.subscriptions.tell(key, &uri);
        }
    }

    async fn link_to(self: &Arc<Self>, place: &Place) -> Result<Link, NotSubscribed> {
        let (key, own) = place;
        let linking = async {
            let lease = self.upstreams.connection(key).await?;
            let era = lease.greeting().era;
            let outgoing = if era == Era::Modern { listen(own) } else { legacy("resources/subscribe", own) };
            let permit = self.guard.housekeeping(&key.server);
            let exchange = lease.call(&permit, outgoing).await?;
            Ok((lease, exchange, era))
        };
        let (lease, exchange, era) =
            upstream::within(PATIENCE, linking).await.map_err(NotSubscribed::Failed)?;
        if era == Era::Modern {
            return match exchange {
                Exchange::Open(open) => {
                    let listener = tokio::spawn(hear(Arc::downgrade(self), key.clone(), open)).abort_handle();
                    Ok(Link { lease, listener: Some(listener) })
                }
                Exchange::Done(message) => Err(NotSubscribed::Refused(message)),
            };
        }
        let answer =
            upstream::within(PATIENCE, exchange.into_answer()).await.map_err(NotSubscribed::Failed)?;
        match answer.kind() {
            crate::jsonrpc::Kind::Error => Err(NotSubscribed::Refused(answer)),
            _ => Ok(Link { lease: lease.without_place(), listener: None }),
        }
    }

    fn end_all(self: &Arc<Self>, gone: Vec<(Place, Arc<Subscribed>)>) {
        for ((key, own), entry) in gone {
            let hub = Arc::clone(self);
            self.tasks.spawn(async move {
                // A modern subscription ends with its stream.
                let Some(link) = entry.link.get().filter(|link| link.listener.is_none()) else { return };
                let permit = hub.guard.housekeeping(&key.server);
                let ending = async {
                    let exchange = link.lease.call(&permit, legacy("resources/unsubscribe", &own)).await?;
                    exchange.into_answer().await
                };
                if let Err(error) = upstream::within(PATIENCE, ending).await {
                    tracing::debug!(server = %key.server, %error, "the server did not end a subscription");
                }
            });
        }
    }
}

/// Hears a modern server until it ends the subscription.
async fn hear(hub: Weak<Hub>, key: InstanceKey, mut open: OpenExchange) {
    while let Ok(message) = open.next().await {
        let Some(hub) = hub.upgrade() else { return };
        match message.method() {
            Some(UPDATED) => hub.resource_updated(&key, &message),
            Some(_) => {}
            None => return,
        }
    }
}

fn legacy(method: &str, uri: &str) -> Outgoing {
    let params = format!("{{\"uri\":{}}}", text(uri));
    outgoing(method, &params)
}

fn listen(uri: &str) -> Outgoing {
    let params = format!(
        "{{\"notifications\":{{\"resourceSubscriptions\":[{}]}},\"_meta\":{}}}",
        text(uri),
        hop::own_meta()
    );
    outgoing("subscriptions/listen", &params)
}

fn outgoing(method: &str, params: &str) -> Outgoing {
    let id = upstream::next_id();
    let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":{},\"params\":{params}}}", text(method));
    Outgoing { id, method: method.to_owned(), body: body.into(), name: None, param_headers: Vec::new() }
}
