//! The messages of one exchange, as events of a stream.

use std::sync::Arc;
use std::time::Duration;

use trunkline_web::sse::Event;

use super::answer::{MediaType, answer_to};
use super::{EventStream, Failure, Wire, reply_to};
use crate::jsonrpc::{Kind, Message};

/// How often a broken stream is taken up again without anything new on it.
const FRUITLESS_RESUMES: u32 = 5;
/// How long to wait before that when the server names no time.
const RESUME_DELAY: Duration = Duration::from_secs(1);
/// However long the server asks to wait, it is not longer than this.
const LONGEST_RESUME_DELAY: Duration = Duration::from_secs(30);

/// What a server sends for one request: notifications, then the answer.
#[derive(Debug)]
pub(super) struct Answers {
    wire: Arc<Wire>,
    id: u64,
    stream: Box<EventStream>,
    last_event_id: Option<String>,
    fruitless_resumes: u32,
}

impl Answers {
    pub(super) fn new(wire: Arc<Wire>, id: u64, stream: Box<EventStream>) -> Self {
        Self { wire, id, stream, last_event_id: None, fruitless_resumes: 0 }
    }

    /// The next notification or request of the server, or the answer.
    pub(super) async fn next(&mut self) -> Result<Message, Failure> {
        loop {
            match self.stream.next().await {
                Ok(Some(event)) => {
                    if let Some(message) = self.take(event).await? {
                        return Ok(message);
                    }
                }
                Ok(None) => self.resume("the stream ended before the answer".to_owned()).await?,
                Err(Failure::Broken { reason }) => self.resume(reason).await?,
                Err(failure) => return Err(failure),
            }
        }
    }

    async fn take(&mut self, event: Event) -> Result<Option<Message>, Failure> {
        if event.data.is_empty() || event.event.is_some_and(|kind| kind != "message") {
            return Ok(None);
        }
        self.fruitless_resumes = 0;
        let message = Message::parse_shallow(event.data)
            .map_err(|fault| Failure::NotMcp { reason: format!("an event of its stream: {fault}") })?;
        match message.kind() {
            Kind::Result | Kind::Error => answer_to(self.id, message).map(Some),
            // A legacy server may ask its client something while it works
            // (2025-11-25, basic/transports); a modern one must not, and gets
            // no answer.
            Kind::Request if self.wire.is_modern() => Ok(None),
            Kind::Request if message.method() == Some("ping") => {
                self.wire.notify_aside("reply", reply_to(&message)).await;
                Ok(None)
            }
            Kind::Request | Kind::Notification => Ok(Some(message)),
        }
    }

    /// Takes up the stream where it broke (2025-11-25, basic/transports,
    /// "resumability"), when the server numbered its events.
    async fn resume(&mut self, mut reason: String) -> Result<(), Failure> {
        if let Some(id) = self.stream.last_event_id() {
            self.last_event_id = Some(id.to_owned());
        }
        let Some(last_event_id) = self.last_event_id.clone().filter(|_| !self.wire.is_modern()) else {
            return Err(Failure::Broken { reason });
        };
        while self.fruitless_resumes < FRUITLESS_RESUMES {
            self.fruitless_resumes += 1;
            let delay = self.stream.retry().unwrap_or(RESUME_DELAY);
            tokio::time::sleep(delay.min(LONGEST_RESUME_DELAY)).await;
            match self.wire.open_stream(Some(&last_event_id)).await {
                Ok(response)
                    if response.status().is_success()
                        && MediaType::of(response.headers()) == MediaType::EventStream =>
                {
                    *self.stream = EventStream::new(response, self.wire.message_limit);
                    return Ok(());
                }
                Ok(response) => {
                    let refusal = self.wire.refusal(response).await;
                    return Err(Failure::Broken {
                        reason: format!("{reason}, and cannot be resumed: {refusal}"),
                    });
                }
                Err(Failure::NotSent { reason: next } | Failure::Broken { reason: next }) => reason = next,
                Err(failure) => return Err(failure),
            }
        }
        Err(Failure::Broken { reason })
    }
}
