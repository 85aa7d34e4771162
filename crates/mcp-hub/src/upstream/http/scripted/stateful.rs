//! A legacy server that gives each client a session and keeps something for it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;

use super::{Asked, Scripted, data, error_text, json_body, open_events, result, status};

/// What it keeps, by session.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sessions(Arc<Mutex<HashMap<String, Session>>>);

#[derive(Debug, Default)]
struct Session {
    is_forgotten: bool,
    more_tools: usize,
    stream: Option<mpsc::UnboundedSender<String>>,
}

impl Sessions {
    /// The server: each session has the tool `tool_0`, and more as it gets them.
    pub(crate) async fn start(&self) -> Scripted {
        let sessions = self.clone();
        Scripted::start(move |asked| sessions.answer(asked)).await
    }

    pub(crate) fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }

    /// Gives one session a tool more and says so on its stream, once it is open.
    pub(crate) async fn add_tool(&self, session: &str) {
        self.0.lock().unwrap().get_mut(session).unwrap().more_tools += 1;
        self.say(session, "notifications/tools/list_changed").await;
    }

    /// Sends a notification on the stream of one session, once it is open.
    pub(crate) async fn say(&self, session: &str, method: &str) {
        let stream = loop {
            if let Some(stream) = &self.0.lock().unwrap()[session].stream {
                break stream.clone();
            }
            tokio::task::yield_now().await;
        };
        stream.send(data(&format!(r#"{{"jsonrpc":"2.0","method":"{method}"}}"#))).unwrap();
    }

    /// Forgets one session, as a server does that was started anew.
    pub(crate) fn forget(&self, session: &str) {
        let forgotten = Session { is_forgotten: true, ..Session::default() };
        self.0.lock().unwrap().insert(session.to_owned(), forgotten);
    }

    fn answer(&self, asked: &Asked) -> axum::response::Response {
        let id = asked.headers.get("mcp-session-id").map(|id| id.to_str().unwrap().to_owned());
        let mut sessions = self.0.lock().unwrap();
        let Some(id) = id else {
            return match asked.what() {
                "initialize" => {
                    let id = format!("session-{}", sessions.len() + 1);
                    sessions.insert(id.clone(), Session::default());
                    let greeting = r#"{"protocolVersion":"2025-06-18","capabilities":{"tools":{"listChanged":true}},"serverInfo":{"name":"s"}}"#;
                    let mut response = result(asked, greeting);
                    response.headers_mut().insert("mcp-session-id", id.parse().unwrap());
                    response
                }
                _ => json_body(400, &error_text("null", -32000)),
            };
        };
        let known = sessions.get_mut(&id).filter(|session| !session.is_forgotten);
        let Some(session) = known else { return status(404) };
        match asked.what() {
            "GET" => {
                let (sender, receiver) = mpsc::unbounded_channel();
                session.stream = Some(sender);
                open_events(receiver)
            }
            "DELETE" => {
                // Its number is not given again.
                session.stream = None;
                status(204)
            }
            "tools/list" => {
                let tools: Vec<_> = (0..=session.more_tools)
                    .map(|number| format!(r#"{{"name":"tool_{number}","inputSchema":{{}}}}"#))
                    .collect();
                result(asked, &format!(r#"{{"tools":[{}]}}"#, tools.join(",")))
            }
            "tools/call" => result(asked, &format!(r#"{{"session":"{id}"}}"#)),
            _ => status(202),
        }
    }
}
