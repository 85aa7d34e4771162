//! What servers ask outside of any request, such as their client's roots when
//! its session has begun (2025-11-25, client): it is put to the session that
//! the server's instance is for, on the stream of that session.

use std::sync::Arc;
use std::time::Duration;

use super::Hub;
use crate::bridge::asked::{question, reply};
use crate::bridge::declared::lacking;
use crate::downstream::session::Session;
use crate::jsonrpc::Message;
use crate::upstream::{InstanceKey, Reply};

/// How long a client has: what it is asked may take a person.
const PATIENCE: Duration = Duration::from_mins(15);

impl Hub {
    /// Puts a question to the one session that the instance serves. Where it
    /// serves several nobody can know which one is meant.
    pub(super) fn asked_aside(self: &Arc<Self>, key: &InstanceKey, asked: Message, to: Reply) {
        let method = asked.method().unwrap_or_default();
        if key.scope.is_of_hub() && method == "roots/list" {
            // Whoever gets this instance has roots of their own, and it is told then.
            return to.send(
                format!("{{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{\"roots\":[]}}}}", id_of(&asked))
                    .into(),
            );
        }
        let Some(session) = self.only_session_of(key) else { return to.refuse(&asked) };
        if lacking(key.scope.offer(), method, asked.payload()).is_some() {
            return to.refuse(&asked);
        }
        let Some(open) = session.asked.open() else { return to.refuse(&asked) };
        session.subscriber.push(question(&open.id, method, asked.payload()));
        self.tasks.spawn_until_stop(async move {
            match tokio::time::timeout(PATIENCE, open.answer()).await {
                Ok(Some(answer)) => to.send(reply(id_of(&asked), &answer, answer.payload().unwrap_or("{}"))),
                Ok(None) | Err(_) => to.refuse(&asked),
            }
        });
    }

    fn only_session_of(&self, key: &InstanceKey) -> Option<Arc<Session>> {
        let shows = |session: &Session| {
            let profile = self.profile(session.subscriber.profile().as_str());
            profile.is_some_and(|profile| profile.servers().any(|(server, _)| *server == key.server))
        };
        let mut served = self.sessions.served_by(key).into_iter().filter(|session| shows(session));
        let only = served.next()?;
        served.next().is_none().then_some(only)
    }
}

fn id_of(question: &Message) -> &str {
    question.id().unwrap_or("null")
}
