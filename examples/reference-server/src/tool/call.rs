//! One call of a tool, and what its work may use.

use std::sync::Arc;

use rmcp::RoleServer;
use rmcp::model::{CallToolRequestParams, ProgressNotificationParam};
use rmcp::service::RequestContext;
use serde::de::DeserializeOwned;

use crate::capability::Capability;
use crate::conversation::Conversation;
use crate::era::Era;
use crate::log::{self, Level};
use crate::session::Session;
use crate::shared::Shared;
use crate::streamable_http::ResponseControl;
use crate::unfinished::Unfinished;

pub(crate) struct Call {
    pub(crate) shared: Arc<Shared>,
    pub(crate) session: Arc<Session>,
    pub(crate) request: CallToolRequestParams,
    pub(crate) context: RequestContext<RoleServer>,
}

impl Call {
    pub(crate) fn era(&self) -> Era {
        Era::of(&self.context)
    }

    /// The arguments, as the tool wants them.
    ///
    /// # Errors
    /// With a reason that the caller can act on.
    pub(crate) fn arguments<T: DeserializeOwned>(&self) -> Result<T, Unfinished> {
        let arguments = self.request.arguments.clone().unwrap_or_default();
        serde_json::from_value(arguments.into())
            .map_err(|error| Unfinished::Refused(format!("These arguments do not fit: {error}")))
    }

    pub(crate) fn declares(&self, capability: Capability) -> bool {
        capability.is_declared_by(self.context.client_capabilities().as_ref())
    }

    pub(crate) fn conversation(&self) -> Result<Conversation<'_>, Unfinished> {
        Conversation::of_call(&self.context, &self.shared.seal, &self.request)
    }

    pub(crate) async fn log(&self, text: &str) {
        log::send(&self.context, &self.session, Level::INFO, text).await;
    }

    /// Reports progress to a client that asked for it. Whether it arrived does not matter to the call.
    pub(crate) async fn progress(&self, done: f64, total: f64) {
        let Some(token) = self.context.meta.get_progress_token() else { return };
        let progress = ProgressNotificationParam::new(token, done).with_total(total);
        if let Err(error) = self.context.peer.notify_progress(progress).await {
            tracing::debug!(%error, "progress did not reach the client");
        }
    }

    /// The response that will carry the answer; `None` over standard output.
    pub(crate) fn response(&self) -> Option<ResponseControl> {
        let request = self.context.extensions.get::<http::request::Parts>()?;
        request.extensions.get::<ResponseControl>().cloned()
    }
}
