//! A server of one era that answers a call with its argument `result`, as the
//! client wrote it, and remembers the parameters that reached it. It holds no
//! number and no string: it cannot change what it cannot read.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use trunkline_tests::message::{Envelope, LEGACY, MODERN};

use super::members;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Eras {
    Legacy,
    Modern,
}

/// A running server; it ends when this is dropped.
pub(super) struct Echo {
    pub(super) url: String,
    state: Arc<Echoing>,
    task: JoinHandle<()>,
}

struct Echoing {
    eras: Eras,
    /// What `tools/list` answers with beside `echo`, each as it is written.
    entries: Vec<String>,
    params: Mutex<Option<String>>,
}

impl Echo {
    pub(super) async fn start(eras: Eras, entries: Vec<String>) -> Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let url = format!("http://{}/mcp", listener.local_addr()?);
        let state = Arc::new(Echoing { eras, entries, params: Mutex::default() });
        let router = Router::new().route("/mcp", axum::routing::any(answer)).with_state(Arc::clone(&state));
        let task = tokio::spawn(async move {
            // Serving ends with the test; a failure shows as refused connections there.
            drop(axum::serve(listener, router).await);
        });
        Ok(Self { url, state, task })
    }

    /// The parameters of the latest call.
    pub(super) fn last_params(&self) -> Option<String> {
        self.state.params.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(State(state): State<Arc<Echoing>>, method: Method, body: Bytes) -> Response {
    let Some(envelope) = std::str::from_utf8(&body).ok().and_then(|text| Envelope::parse(text).ok()) else {
        return StatusCode::METHOD_NOT_ALLOWED.into_response();
    };
    let (Some(id), Some(asked)) = (&envelope.id, envelope.method.as_deref()) else {
        return StatusCode::ACCEPTED.into_response();
    };
    let params = envelope.params.as_ref().map_or("{}", |params| params.get());
    let said = match (state.eras, asked) {
        _ if method != Method::POST => return StatusCode::METHOD_NOT_ALLOWED.into_response(),
        (Eras::Modern, "server/discover") => Some(format!(
            r#"{{"resultType":"complete","supportedVersions":["{MODERN}"],"capabilities":{{"tools":{{}}}}}}"#
        )),
        (Eras::Legacy, "initialize") => Some(format!(
            r#"{{"protocolVersion":"{LEGACY}","capabilities":{{"tools":{{}}}},"serverInfo":{{"name":"echo","version":"1"}}}}"#
        )),
        (_, "tools/list") => {
            let echo = r#"{"name":"echo","inputSchema":{"type":"object"}}"#.to_owned();
            let entries: Vec<_> = std::iter::once(echo).chain(state.entries.iter().cloned()).collect();
            Some(format!(r#"{{"tools":[{}]}}"#, entries.join(",")))
        }
        (_, "tools/call") => {
            *state.params.lock().unwrap_or_else(PoisonError::into_inner) = Some(params.to_owned());
            result_in(params)
        }
        _ => None,
    };
    let said = match said {
        Some(result) => format!("\"result\":{result}"),
        None => r#""error":{"code":-32601,"message":"Method not found"}"#.to_owned(),
    };
    let body = format!(r#"{{"jsonrpc":"2.0","id":{},{said}}}"#, id.get());
    ([("content-type", "application/json")], body).into_response()
}

fn result_in(params: &str) -> Option<String> {
    let named = |name: &str, of: &str| Some(members(of).ok()?.into_iter().find(|(key, _)| key == name)?.1);
    named("result", &named("arguments", params)?)
}
