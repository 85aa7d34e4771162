//! What the hub answers when a server asks it something.

use bytes::Bytes;

use crate::jsonrpc::{Message, code, text};

/// The answer to a request of the server: a pong for `ping`, and for all else
/// that the hub has no such method, so that the server does not wait.
pub(in crate::upstream) fn reply_to(request: &Message) -> Bytes {
    let id = request.id().unwrap_or("null");
    let method = request.method().unwrap_or_default();
    if method == "ping" {
        return format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#).into();
    }
    let reason = text(&format!("this client has no method {method}"));
    let code = code::METHOD_NOT_FOUND;
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{reason}}}}}"#).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(request: &'static str) -> Message {
        Message::parse(reply_to(&Message::parse(Bytes::from_static(request.as_bytes())).unwrap())).unwrap()
    }

    #[test]
    fn a_ping_is_answered_and_all_else_refused_with_the_servers_own_id() {
        let pong = reply(r#"{"jsonrpc":"2.0","id":"p\"1","method":"ping"}"#);
        assert_eq!((pong.id(), pong.payload()), (Some(r#""p\"1""#), Some("{}")));
        let refusal = reply(r#"{"jsonrpc":"2.0","id":4,"method":"sampling/\"x\""}"#);
        assert_eq!(refusal.id(), Some("4"));
        assert!(refusal.payload().unwrap().contains("-32601"));
    }
}
