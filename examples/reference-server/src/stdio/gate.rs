//! As the gate over HTTP: a pinned server does not know the other era.
//!
//! And no server ends because of a notification that comes before it was asked
//! for anything, as a client sends one that gives up its first question.

use rmcp::RoleServer;
use rmcp::model::{
    ClientJsonRpcMessage, ClientRequest, ErrorCode, ErrorData, GetMeta as _, RequestId, ServerJsonRpcMessage,
};
use rmcp::transport::Transport;

use crate::era::Eras;

/// The keys of `_meta` that only the modern era knows begin so.
const MODERN_KEYS: &str = "io.modelcontextprotocol/";

pub(super) struct Gate<T> {
    inner: T,
    eras: Eras,
    /// Whether a request has settled the era.
    begun: bool,
}

impl<T> Gate<T> {
    pub(super) fn new(inner: T, eras: Eras) -> Self {
        Self { inner, eras, begun: false }
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
            match self.judge(message) {
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

impl<T> Gate<T> {
    fn judge(&mut self, message: ClientJsonRpcMessage) -> Verdict {
        let (mut request, id) = match message {
            ClientJsonRpcMessage::Request(message) => (message.request, message.id),
            ClientJsonRpcMessage::Notification(_) if !self.begun => return Verdict::Ignore,
            other => return Verdict::Pass(Box::new(other)),
        };
        let refusal = match self.eras {
            Eras::Legacy => as_legacy(&mut request, self.begun),
            Eras::Modern => as_modern(&request),
            Eras::Both => None,
        };
        if let Some(error) = refusal {
            return answer(error, id);
        }
        self.begun |= !matches!(request, ClientRequest::DiscoverRequest(_) | ClientRequest::PingRequest(_));
        Verdict::Pass(Box::new(ClientJsonRpcMessage::request(request, id)))
    }
}

fn answer(error: ErrorData, id: RequestId) -> Verdict {
    Verdict::Answer(Box::new(ServerJsonRpcMessage::error(error, Some(id))))
}

/// As the servers of before 2026-07-28 do: what `_meta` says in keys of a later revision is not read.
fn as_legacy(request: &mut ClientRequest, begun: bool) -> Option<ErrorData> {
    if request.method() == "server/discover" {
        return Some(ErrorData::new(ErrorCode::METHOD_NOT_FOUND, "Method not found", None));
    }
    request.get_meta_mut().retain(|key, _| !key.starts_with(MODERN_KEYS));
    let may_begin = matches!(request, ClientRequest::InitializeRequest(_) | ClientRequest::PingRequest(_));
    (!begun && !may_begin).then(|| ErrorData::invalid_params("The session was not initialized", None))
}

/// MCP 2026-07-28, Backward Compatibility: the error names the versions that the server has.
fn as_modern(request: &ClientRequest) -> Option<ErrorData> {
    let ClientRequest::InitializeRequest(initialize) = request else { return None };
    let requested = initialize.params.protocol_version.clone();
    Some(ErrorData::unsupported_protocol_version(requested, &Eras::Modern.versions()))
}
