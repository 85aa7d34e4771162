//! The one door.

mod draft;

use std::sync::Arc;

use thiserror::Error;
use trunkline_model::{
    Action, Caller, Clock, Decision, Outcome, Principal, ProfileName, Reason, ServerName, Timestamp,
};
use uuid::Uuid;

use crate::audit::{AuditLog, AuditUnavailable};
use crate::effective::EffectiveProfile;
use draft::{Beginning, Draft, Recorder};

/// Decides who may ask which server what, and records it.
#[derive(Debug, Clone)]
pub struct Guard {
    recorder: Arc<Recorder>,
}

/// One request, read and not yet decided.
#[derive(Debug)]
pub struct Asked {
    /// The id that the answer carries in `x-request-id`.
    pub request_id: Uuid,
    pub arrived: Timestamp,
    pub kind: Kind,
    pub action: Action,
    /// The name under which the profile shows the tool; scopes go by it.
    pub tool: Option<String>,
    /// Bytes of the request's parameters.
    pub request_bytes: u64,
}

/// Which of a profile's filters applies to the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The target is a tool's own name.
    Tool,
    /// The target is a prompt's own name, also when its argument is to be completed.
    Prompt,
    /// The target is a resource's URI or a template, also when it is to be completed.
    Resource,
    /// The server as a whole: it has to be selected, and no filter applies.
    Server,
}

/// A request that was refused before a server was known: nobody had signed
/// in, it was malformed, or what it named does not exist.
#[derive(Debug)]
pub struct RefusedRequest {
    pub request_id: Uuid,
    pub arrived: Timestamp,
    pub profile: Option<ProfileName>,
    pub caller: Option<Principal>,
    pub action: Action,
    pub decision: Decision,
    /// Why, for whoever reads the trail.
    pub detail: String,
    pub request_bytes: u64,
}

/// A change that somebody makes in the hub itself: decided by their role, or by
/// what they prove.
#[derive(Debug)]
pub struct Acted {
    pub request_id: Uuid,
    pub arrived: Timestamp,
    /// None where nobody had proved who they are.
    pub caller: Option<Principal>,
    pub action: Action,
    pub decision: Decision,
}

/// An event that waits for how its action ends. Dropped without
/// [`Recording::settle`] it says that the action was cancelled.
#[derive(Debug)]
pub struct Recording(Draft);

/// The right to ask one server one thing, once. Dropped without
/// [`Permit::settle`] it records that the request was cancelled.
#[derive(Debug)]
pub struct Permit {
    server: ServerName,
    /// None for the hub's own questions.
    draft: Option<Draft>,
}

/// The door stayed shut. Dropped without [`Refusal::record`] it is recorded
/// all the same, but nobody waits for it.
#[derive(Debug, Error)]
#[error("{detail}")]
pub struct Refusal {
    decision: Decision,
    detail: &'static str,
    draft: Draft,
}

impl Guard {
    pub fn new(audit: AuditLog, clock: Arc<dyn Clock>) -> Self {
        Self { recorder: Arc::new(Recorder { audit, clock }) }
    }

    /// Decides, from memory alone. The caller must belong to `profile`, and
    /// the profile must select the server and admit the target.
    ///
    /// # Errors
    /// [`Refusal`]: record it, then answer as if there were no such thing.
    pub fn admit(
        &self,
        caller: &Caller,
        profile: &EffectiveProfile,
        asked: Asked,
    ) -> Result<Permit, Refusal> {
        match decide(caller, profile, &asked) {
            Ok(server) => {
                let server = server.clone();
                let decision = Decision::allow(Reason::ProfileMember);
                Ok(Permit {
                    server,
                    draft: Some(self.draft(caller, profile, asked, decision, Outcome::Cancelled)),
                })
            }
            Err((reason, detail)) => {
                let decision = Decision::deny(reason);
                let outcome = Outcome::Refused { detail: detail.to_owned() };
                let draft = self.draft(caller, profile, asked, decision.clone(), outcome);
                Err(Refusal { decision, detail, draft })
            }
        }
    }

    /// Records a refusal that never came to [`Guard::admit`]; it is durable
    /// when this returns.
    ///
    /// # Errors
    /// [`AuditUnavailable`]: the answer must not leave.
    pub fn refuse(&self, refused: RefusedRequest) -> Result<(), AuditUnavailable> {
        let RefusedRequest { request_id, arrived, profile, caller, action, decision, detail, request_bytes } =
            refused;
        let beginning = Beginning { request_id, arrived, profile, caller, action, decision, request_bytes };
        let outcome = Outcome::Refused { detail };
        Draft::new(&self.recorder, beginning, outcome.clone()).settle(outcome, 0)
    }

    /// Begins the event of a change in the hub itself.
    pub fn act(&self, acted: Acted) -> Recording {
        let Acted { request_id, arrived, caller, action, decision } = acted;
        let beginning =
            Beginning { request_id, arrived, profile: None, caller, action, decision, request_bytes: 0 };
        Recording(Draft::new(&self.recorder, beginning, Outcome::Cancelled))
    }

    /// The right to ask a server what the hub itself must know: handshakes
    /// and lists. No caller is behind it and no event is written.
    pub fn housekeeping(&self, server: &ServerName) -> Permit {
        Permit { server: server.clone(), draft: None }
    }

    fn draft(
        &self,
        caller: &Caller,
        profile: &EffectiveProfile,
        asked: Asked,
        decision: Decision,
        abandoned: Outcome,
    ) -> Draft {
        let beginning = Beginning {
            request_id: asked.request_id,
            arrived: asked.arrived,
            profile: Some(profile.name().clone()),
            caller: Some(caller.principal().clone()),
            action: asked.action,
            decision,
            request_bytes: asked.request_bytes,
        };
        Draft::new(&self.recorder, beginning, abandoned)
    }
}

impl Recording {
    /// Says how the action ended. The event is durable when this returns:
    /// then the answer may leave.
    ///
    /// # Errors
    /// [`AuditUnavailable`]: the answer must not leave.
    pub fn settle(self, outcome: Outcome, response_bytes: u64) -> Result<(), AuditUnavailable> {
        self.0.settle(outcome, response_bytes)
    }
}

impl Permit {
    /// The one server it is good for.
    pub fn server(&self) -> &ServerName {
        &self.server
    }

    /// Says how the request ended and how many bytes its result has. The event
    /// is durable when this returns: then the answer may leave.
    ///
    /// # Errors
    /// [`AuditUnavailable`]: the answer must not leave.
    pub fn settle(self, outcome: Outcome, response_bytes: u64) -> Result<(), AuditUnavailable> {
        match self.draft {
            Some(draft) => draft.settle(outcome, response_bytes),
            None => Ok(()),
        }
    }
}

impl Refusal {
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// Why, for the trail and the log; the caller learns only that there is
    /// no such thing.
    pub fn detail(&self) -> &'static str {
        self.detail
    }

    /// The refusal is durable when this returns: then the answer may leave.
    ///
    /// # Errors
    /// [`AuditUnavailable`]: the answer must not leave.
    pub fn record(self) -> Result<(), AuditUnavailable> {
        let outcome = Outcome::Refused { detail: self.detail.to_owned() };
        self.draft.settle(outcome, 0)
    }
}

/// The server to ask, or why not.
fn decide<'a>(
    caller: &Caller,
    profile: &EffectiveProfile,
    asked: &'a Asked,
) -> Result<&'a ServerName, (Reason, &'static str)> {
    let (kind, action) = (asked.kind, &asked.action);
    if caller.profile() != profile.name() {
        return Err((Reason::OtherProfile, "the credential is bound to another profile"));
    }
    let selected = action.server.as_ref().filter(|server| profile.selection(server).is_some());
    let Some(server) = selected else {
        return Err((Reason::NotInProfile, "the profile does not select this server"));
    };
    let target = action.target.as_deref();
    let is_admitted = match kind {
        Kind::Tool => target.is_some_and(|tool| profile.admits_tool(server, tool)),
        Kind::Prompt => target.is_some_and(|prompt| profile.admits_prompt(server, prompt)),
        Kind::Resource => target.is_some_and(|uri| profile.admits_resource(server, uri)),
        Kind::Server => true,
    };
    if !is_admitted {
        return Err((Reason::NotInProfile, "the profile does not select this target"));
    }
    let is_open = kind != Kind::Tool
        || asked.tool.as_deref().is_some_and(|tool| profile.lacking(caller, tool).is_empty());
    if is_open {
        Ok(server)
    } else {
        Err((Reason::InsufficientScope, "the access token lacks a scope that the tool needs"))
    }
}

#[cfg(test)]
mod tests;
