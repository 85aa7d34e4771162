//! Tells clients what changed, in the way of their era.

use std::sync::Arc;

use rmcp::model::{
    PromptListChangedNotification, ResourceListChangedNotification, ResourceUpdatedNotification,
    ResourceUpdatedNotificationParam, ServerNotification, ToolListChangedNotification,
};
use rmcp::service::{RequestContext, SubscriptionContext, SubscriptionSendError};
use rmcp::{ErrorData, RoleServer};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::session::Session;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    Tools,
    Prompts,
    Resources,
    /// The content of the resource with this URI.
    Resource(String),
}

/// A change, and the how-manieth of the process it is.
#[derive(Debug, Clone)]
pub(crate) struct Numbered {
    pub(crate) number: u64,
    pub(crate) change: Change,
}

impl Change {
    fn notification(self) -> ServerNotification {
        match self {
            Self::Tools => ToolListChangedNotification {
                method: rmcp::model::ToolListChangedNotificationMethod,
                extensions: rmcp::model::Extensions::default(),
            }
            .into(),
            Self::Prompts => PromptListChangedNotification {
                method: rmcp::model::PromptListChangedNotificationMethod,
                extensions: rmcp::model::Extensions::default(),
            }
            .into(),
            Self::Resources => ResourceListChangedNotification {
                method: rmcp::model::ResourceListChangedNotificationMethod,
                extensions: rmcp::model::Extensions::default(),
            }
            .into(),
            Self::Resource(uri) => {
                ResourceUpdatedNotification::new(ResourceUpdatedNotificationParam::new(uri)).into()
            }
        }
    }
}

/// Legacy era: tells the client of a session, unasked, of changed lists, and of the resources it subscribed to. Ends
/// with the session.
pub(crate) async fn tell_session(
    mut changes: Receiver<Numbered>,
    session: Arc<Session>,
    initialize: RequestContext<RoleServer>,
) {
    loop {
        let change = tokio::select! {
            () = initialize.ct.cancelled() => return,
            change = next(&mut changes) => change,
        };
        let Some(Numbered { number, change }) = change else { return };
        if let Change::Resource(uri) = &change
            && !session.was_subscribed(uri, number)
        {
            continue;
        }
        if initialize.peer.send_notification(change.notification()).await.is_err() {
            return;
        }
    }
}

/// Modern era: serves one `subscriptions/listen`, until the client ends it. The acknowledgement has been sent.
pub(crate) async fn tell_subscription(
    mut changes: Receiver<Numbered>,
    subscription: SubscriptionContext,
) -> Result<(), ErrorData> {
    loop {
        let change = tokio::select! {
            () = subscription.cancelled() => return Ok(()),
            change = next(&mut changes) => change,
        };
        let Some(Numbered { change, .. }) = change else { return Ok(()) };
        match subscription.sink().send(change.notification()).await {
            // What the client did not ask for is not for it.
            Ok(()) | Err(SubscriptionSendError::NotificationNotAccepted(_)) => {}
            Err(SubscriptionSendError::SubscriptionClosed) => return Ok(()),
            Err(error) => return Err(ErrorData::internal_error(error.to_string(), None)),
        }
    }
}

/// The next change that was not missed; `None` at the end of the process.
async fn next(changes: &mut Receiver<Numbered>) -> Option<Numbered> {
    loop {
        match changes.recv().await {
            Ok(change) => return Some(change),
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return None,
        }
    }
}
