//! Questions that a legacy client has been asked and has not answered yet
//! (2025-11-25, client): by the hub's own ids, so that two servers' ids cannot
//! be confused.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::oneshot;

use crate::jsonrpc::Message;

/// Questions that one session may have open.
const MOST: usize = 64;

/// Ids of questions to clients; never used twice in this process.
static LAST: AtomicU64 = AtomicU64::new(0);

/// The open questions of one session. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked(Arc<Mutex<HashMap<String, oneshot::Sender<Message>>>>);

/// One open question. Dropped, its answer is no longer wanted.
#[derive(Debug)]
pub(crate) struct Open {
    asked: Asked,
    /// Raw JSON.
    pub id: String,
    answer: oneshot::Receiver<Message>,
}

impl Asked {
    /// Opens a question; none when too many are open.
    pub(crate) fn open(&self) -> Option<Open> {
        let id = format!("\"trunkline-{}\"", LAST.fetch_add(1, Ordering::Relaxed) + 1);
        let (sender, answer) = oneshot::channel();
        let mut open = self.lock();
        if open.len() >= MOST {
            return None;
        }
        open.insert(id.clone(), sender);
        drop(open);
        Some(Open { asked: self.clone(), id, answer })
    }

    /// Takes the client's answer. One that nobody waits for is dropped.
    pub(crate) fn answer(&self, answer: Message) {
        let waiting = answer.id().and_then(|id| self.lock().remove(id));
        if let Some(waiting) = waiting {
            // Who asked may have gone meanwhile.
            let _ = waiting.send(answer);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, oneshot::Sender<Message>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// The client's answer; none when the session ended first.
    pub(crate) async fn answer(mut self) -> Option<Message> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.asked.lock().remove(&self.id);
    }
}

/// A request to the client.
pub(crate) fn question(id: &str, method: &str, params: Option<&str>) -> Bytes {
    let method = crate::jsonrpc::text(method);
    let mut question = ["{\"jsonrpc\":\"2.0\",\"id\":", id, ",\"method\":", &method].concat();
    if let Some(params) = params {
        question.push_str(",\"params\":");
        question.push_str(params);
    }
    question.push('}');
    question.into()
}

/// A client's answer, under the id that the server gave its question.
/// `payload` is its result or error, as the server shall see it.
pub(crate) fn reply(server_id: &str, answer: &Message, payload: &str) -> Bytes {
    let member = if answer.kind() == crate::jsonrpc::Kind::Error { "error" } else { "result" };
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{server_id},\"{member}\":{payload}}}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(id: &str) -> Message {
        Message::parse(Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"x":1e2}}}}"#))).unwrap()
    }

    #[tokio::test]
    async fn an_answer_reaches_the_question_with_its_id() {
        let asked = Asked::default();
        let (one, two) = (asked.open().unwrap(), asked.open().unwrap());
        asked.answer(answer("\"trunkline-0\""));
        asked.answer(answer(&two.id));
        let id = two.id.clone();
        assert_eq!(two.answer().await.unwrap().id(), Some(id.as_str()));
        drop(one);
        assert!(asked.lock().is_empty(), "a question that nobody waits for is forgotten");
    }

    #[test]
    fn a_session_has_so_many_questions_and_no_more() {
        let asked = Asked::default();
        let open: Vec<_> = std::iter::from_fn(|| asked.open()).collect();
        assert_eq!(open.len(), MOST);
        drop(open);
        assert!(asked.open().is_some());
    }

    #[test]
    fn an_answer_keeps_its_bytes_and_gets_the_servers_id() {
        let answer = answer("7");
        let reply = reply("\"s1\"", &answer, answer.payload().unwrap());
        assert_eq!(reply, r#"{"jsonrpc":"2.0","id":"s1","result":{"x":1e2}}"#);
        assert_eq!(question("4", "roots/list", None), r#"{"jsonrpc":"2.0","id":4,"method":"roots/list"}"#);
    }
}
