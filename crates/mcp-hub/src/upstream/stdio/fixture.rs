//! Child processes for tests, and what is asked of them.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use trunkline_model::Command;

use super::StdioConnection;
use crate::jsonrpc::Message;
use crate::upstream::{Exchange, Limits, Outgoing, UpstreamError, next_id};

/// Everything a test waits for happens within this, also on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// The server that misbehaves on demand; `mode` says how it takes the handshake.
pub(crate) fn python(mode: &str) -> Command {
    let args = ["-I", "-S", "-c", include_str!("fixture/server.py"), mode];
    command("python3", &args)
}

/// The server that starts in a millisecond.
pub(crate) fn shell() -> Command {
    command("sh", &["-c", include_str!("fixture/server.sh")])
}

pub(crate) fn command(program: &str, args: &[&str]) -> Command {
    let args = args.iter().map(|&arg| arg.to_owned()).collect();
    Command { program: program.to_owned(), args, env: BTreeMap::new(), cwd: None }
}

/// The usual limits, with short graces: no test waits for a child that will not end.
pub(crate) fn limits() -> Limits {
    Limits {
        close_grace: Duration::from_millis(300),
        terminate_grace: Duration::from_millis(200),
        ..Limits::default()
    }
}

/// A request for `method`, and its id.
pub(crate) fn request(method: &str, params: &Value) -> Outgoing {
    let id = next_id();
    let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string();
    Outgoing { id, method: method.to_owned(), body: Bytes::from(body), name: None, param_headers: Vec::new() }
}

/// The result of `method`; notifications before it are passed over.
pub(crate) async fn ask(
    connection: &StdioConnection,
    method: &str,
    params: Value,
) -> Result<Value, UpstreamError> {
    let exchange = connection.exchange(request(method, &params)).await?;
    let (_, answer) = all_of(exchange).await;
    answer.map(|answer| value(&answer))
}

/// The notifications of an exchange, and its answer.
pub(crate) async fn all_of(exchange: Exchange) -> (Vec<Message>, Result<Message, UpstreamError>) {
    let mut open = match exchange {
        Exchange::Done(answer) => return (Vec::new(), Ok(answer)),
        Exchange::Open(open) => open,
    };
    let mut notifications = Vec::new();
    loop {
        match open.next().await {
            Ok(message) if message.method().is_some() => notifications.push(message),
            answer => return (notifications, answer),
        }
    }
}

pub(crate) fn value(message: &Message) -> Value {
    serde_json::from_str(message.payload().unwrap()).unwrap()
}

/// Waits until the process is gone, or dead and left for its new parent to reap.
pub(crate) async fn gone(process_id: u64) {
    let waiting = async {
        while is_running(process_id) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("the process goes on");
}

/// Whether the process lives; a zombie of somebody else does not count.
pub(crate) fn is_running(process_id: u64) -> bool {
    let Ok(status) = std::fs::read_to_string(format!("/proc/{process_id}/stat")) else { return false };
    let after_name = status.rsplit(')').next().unwrap_or_default();
    let mut fields = after_name.split_whitespace();
    let zombie = fields.next() == Some("Z");
    let ours = fields.next().and_then(|parent| parent.parse().ok()) == Some(std::process::id());
    !zombie || ours
}
