//! As the gate over HTTP: a pinned server does not know the other era.

use rmcp::RoleServer;
use rmcp::model::{
    ClientJsonRpcMessage, ClientNotification, ClientRequest, ErrorCode, ErrorData, GetMeta as _,
    ServerJsonRpcMessage,
};
use rmcp::transport::Transport;

use crate::era::Eras;

/// The keys of `_meta` that only the modern era knows begin so.
const MODERN_KEYS: &str = "io.modelcontextprotocol/";

pub(super) struct Gate<T> {
    inner: T,
    eras: Eras,
}

impl<T> Gate<T> {
    pub(super) fn new(inner: T, eras: Eras) -> Self {
        Self { inner, eras }
    }
}

impl<T: Transport<RoleServer>> Transport<RoleServer> for Gate<T> {
    type Error = T::Error;

    fn send(
        &mut self,
        message: ServerJsonRpcMessage,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        self.inner.send(message)
    }

    async fn receive(&mut self) -> Option<ClientJsonRpcMessage> {
        loop {
            let message = self.inner.receive().await?;
            match judge(self.eras, message) {
                Verdict::Pass(message) => return Some(*message),
                Verdict::Ignore => {}
                Verdict::Answer(answer) => {
                    if let Err(error) = self.inner.send(*answer).await {
                        tracing::debug!(%error, "a refusal did not reach the client");
                        return None;
                    }
                }
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.inner.close().await
    }
}

enum Verdict {
    Pass(Box<ClientJsonRpcMessage>),
    Answer(Box<ServerJsonRpcMessage>),
    Ignore,
}

fn judge(eras: Eras, message: ClientJsonRpcMessage) -> Verdict {
    match eras {
        Eras::Both => Verdict::Pass(Box::new(message)),
        Eras::Legacy => as_legacy(message),
        Eras::Modern => as_modern(message),
    }
}

fn as_legacy(mut message: ClientJsonRpcMessage) -> Verdict {
    if let ClientJsonRpcMessage::Request(request) = &mut message {
        if request.request.method() == "server/discover" {
            let error = ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "Method not found", None);
            return Verdict::Answer(Box::new(ServerJsonRpcMessage::error(error, Some(request.id.clone()))));
        }
        request.request.get_meta_mut().retain(|key, _| !key.starts_with(MODERN_KEYS));
    }
    Verdict::Pass(Box::new(message))
}

/// MCP 2026-07-28, Backward Compatibility: the error names the versions that the server has.
fn as_modern(message: ClientJsonRpcMessage) -> Verdict {
    match message {
        ClientJsonRpcMessage::Request(request) => match &request.request {
            ClientRequest::InitializeRequest(initialize) => {
                let requested = initialize.params.protocol_version.clone();
                let error = ErrorData::unsupported_protocol_version(requested, &Eras::Modern.versions());
                Verdict::Answer(Box::new(ServerJsonRpcMessage::error(error, Some(request.id))))
            }
            _ => Verdict::Pass(Box::new(ClientJsonRpcMessage::Request(request))),
        },
        // Nothing was initialized; a notification gets no answer.
        ClientJsonRpcMessage::Notification(notification)
            if matches!(notification.notification, ClientNotification::InitializedNotification(_)) =>
        {
            Verdict::Ignore
        }
        other => Verdict::Pass(Box::new(other)),
    }
}
