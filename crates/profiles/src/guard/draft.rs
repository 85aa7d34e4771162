//! An event in the making: from the decision to the answer.

use std::sync::Arc;

use trunkline_model::{
    Action, AuditEvent, Clock, Decision, Outcome, Principal, ProfileName, Sizes, Timestamp,
};
use uuid::Uuid;

use crate::audit::{AuditLog, AuditUnavailable, id_at};

/// What callers send may be long; the trail keeps this many bytes of each text.
const LONGEST: usize = 2048;

/// Makes events of drafts.
#[derive(Debug)]
pub(super) struct Recorder {
    pub audit: AuditLog,
    pub clock: Arc<dyn Clock>,
}

/// Everything about a request but its end.
#[derive(Debug)]
pub(super) struct Beginning {
    pub request_id: Uuid,
    pub arrived: Timestamp,
    pub profile: Option<ProfileName>,
    pub caller: Option<Principal>,
    pub action: Action,
    pub decision: Decision,
    pub request_bytes: u64,
}

/// An event that will be recorded, come what may: with the outcome that it
/// is settled with, or as abandoned when it is dropped.
#[derive(Debug)]
pub(super) struct Draft {
    recorder: Arc<Recorder>,
    /// None once recorded.
    beginning: Option<Box<Beginning>>,
    abandoned: Outcome,
}

impl Draft {
    pub(super) fn new(recorder: &Arc<Recorder>, beginning: Beginning, abandoned: Outcome) -> Self {
        Self { recorder: Arc::clone(recorder), beginning: Some(Box::new(beginning)), abandoned }
    }

    /// Records the event, which is durable when this returns.
    pub(super) fn settle(mut self, outcome: Outcome, response_bytes: u64) -> Result<(), AuditUnavailable> {
        match self.beginning.take() {
            Some(beginning) => {
                let event = self.recorder.event(*beginning, outcome, response_bytes);
                self.recorder.audit.append(&event)
            }
            None => Ok(()),
        }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(beginning) = self.beginning.take() {
            let outcome = std::mem::replace(&mut self.abandoned, Outcome::Cancelled);
            let event = self.recorder.event(*beginning, outcome, 0);
            if let Err(error) = self.recorder.audit.append(&event) {
                tracing::error!(%error, event_id = %event.id, request_id = %event.request_id, "lost an audit event");
            }
        }
    }
}

impl Recorder {
    fn event(&self, beginning: Beginning, outcome: Outcome, response_bytes: u64) -> AuditEvent {
        let now = self.clock.now();
        let Beginning { request_id, arrived, profile, caller, action, decision, request_bytes } = beginning;
        AuditEvent {
            id: id_at(now),
            at: arrived,
            profile,
            caller,
            request_id,
            method: bounded(action.method),
            server: action.server,
            target: action.target.map(bounded),
            shown_as: action.shown_as.map(bounded),
            decision,
            outcome: bounded_outcome(outcome),
            duration_us: u64::try_from(now.since(arrived).as_micros()).unwrap_or(u64::MAX),
            sizes: Sizes { request_bytes, response_bytes },
        }
    }
}

fn bounded(mut text: String) -> String {
    if text.len() > LONGEST {
        text.truncate(text.floor_char_boundary(LONGEST));
        text.push('…');
    }
    text
}

fn bounded_outcome(outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Unreachable { detail } => Outcome::Unreachable { detail: bounded(detail) },
        Outcome::Refused { detail } => Outcome::Refused { detail: bounded(detail) },
        short @ (Outcome::Ok
        | Outcome::ToolError
        | Outcome::InputRequired
        | Outcome::Error { .. }
        | Outcome::Cancelled) => short,
    }
}
