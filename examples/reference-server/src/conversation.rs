//! Questions to the client in the course of one request, the same for both eras.
//!
//! In the legacy era each question is a request from server to client, sent
//! while the client waits for its own answer. In the modern era the server
//! answers with the questions and forgets the request; the client repeats it
//! with the answers, and what was answered before comes back sealed as
//! `requestState`. A handler reads alike in both: it asks, and goes on with the
//! answers.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequestParams, GetPromptRequestParams, InputRequiredResult, InputResponses,
    ReadResourceRequestParams,
};
use rmcp::service::RequestContext;
use serde_json::json;

use crate::era::Era;
use crate::question::{Answers, Question, answer_of};
use crate::seal::Seal;
use crate::unfinished::Unfinished;

pub(crate) struct Conversation<'a> {
    context: &'a RequestContext<RoleServer>,
    seal: &'a Seal,
    /// The request that a state belongs to.
    subject: String,
    /// Answers of earlier rounds, out of the state.
    earlier: Answers,
    /// Answers that came with this request.
    given: InputResponses,
    state_came_back: bool,
}

/// Whether a client of the modern era carries a state, when no earlier answer demands one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Needless,
    Sealed,
}

impl<'a> Conversation<'a> {
    pub(crate) fn of_call(
        context: &'a RequestContext<RoleServer>,
        seal: &'a Seal,
        request: &CallToolRequestParams,
    ) -> Result<Self, Unfinished> {
        let subject = json!(["tools/call", request.name, request.arguments]).to_string();
        Self::new(context, seal, subject, request.input_responses.as_ref(), request.request_state.as_deref())
    }

    pub(crate) fn of_prompt(
        context: &'a RequestContext<RoleServer>,
        seal: &'a Seal,
        request: &GetPromptRequestParams,
    ) -> Result<Self, Unfinished> {
        let subject = json!(["prompts/get", request.name, request.arguments]).to_string();
        Self::new(context, seal, subject, request.input_responses.as_ref(), request.request_state.as_deref())
    }

    pub(crate) fn of_resource(
        context: &'a RequestContext<RoleServer>,
        seal: &'a Seal,
        request: &ReadResourceRequestParams,
    ) -> Result<Self, Unfinished> {
        let subject = json!(["resources/read", request.uri]).to_string();
        Self::new(context, seal, subject, request.input_responses.as_ref(), request.request_state.as_deref())
    }

    fn new(
        context: &'a RequestContext<RoleServer>,
        seal: &'a Seal,
        subject: String,
        given: Option<&InputResponses>,
        state: Option<&str>,
    ) -> Result<Self, Unfinished> {
        let earlier = match state {
            Some(state) => seal.open(state, &subject)?,
            None => Answers::new(),
        };
        let given = given.cloned().unwrap_or_default();
        Ok(Self { context, seal, subject, earlier, given, state_came_back: state.is_some() })
    }

    /// Whether the client brought back a state, and nobody had altered it.
    pub(crate) fn state_came_back(&self) -> bool {
        self.state_came_back
    }

    pub(crate) fn can_ask(&self, question: &Question) -> bool {
        question.capability.is_declared_by(self.context.client_capabilities().as_ref())
    }

    /// [`Self::ask_with`] without a needless state.
    pub(crate) async fn ask(&mut self, questions: Vec<Question>) -> Result<Answers, Unfinished> {
        self.ask_with(State::Needless, questions).await
    }

    /// The answers to `questions`, all of them.
    ///
    /// # Errors
    /// When the client did not declare what a question needs, or refuses to answer; and in the modern era with the
    /// questions that are still open.
    pub(crate) async fn ask_with(
        &mut self,
        state: State,
        questions: Vec<Question>,
    ) -> Result<Answers, Unfinished> {
        if let Some(question) = questions.iter().find(|question| !self.can_ask(question)) {
            return Err(Unfinished::Undeclared(question.capability));
        }
        match Era::of(self.context) {
            Era::Legacy => self.ask_now(questions).await,
            Era::Modern => self.take_or_ask(state, questions),
        }
    }

    /// Legacy era: all requests at once, as the questions of the modern era are.
    async fn ask_now(&self, questions: Vec<Question>) -> Result<Answers, Unfinished> {
        let asked = questions.into_iter().filter_map(|question| {
            let key = question.key.clone();
            let request = question.into_server_request()?;
            Some(async move {
                let result = self.context.peer.send_request(request).await;
                let refused = |error| Unfinished::Refused(format!("The client did not answer: {error}"));
                result.map(|result| (key, answer_of(&result))).map_err(refused)
            })
        });
        Ok(try_join_all(asked).await?.into_iter().collect())
    }

    /// Modern era: what was answered is taken, what is still open is asked for.
    fn take_or_ask(&mut self, state: State, questions: Vec<Question>) -> Result<Answers, Unfinished> {
        let mut answers = Answers::new();
        let mut open = BTreeMap::new();
        for question in questions {
            let answer = self.earlier.get(&question.key).or_else(|| self.given.get(&question.key));
            match answer.filter(|answer| question.is_answered_by(answer)) {
                Some(answer) => {
                    answers.insert(question.key, answer.clone());
                }
                None => {
                    open.insert(question.key, question.request);
                }
            }
        }
        self.earlier.extend(answers.clone());
        if open.is_empty() {
            return Ok(answers);
        }
        let state = match state {
            State::Needless if self.earlier.is_empty() => None,
            State::Needless | State::Sealed => Some(self.seal.seal(&self.earlier, &self.subject)?),
        };
        Err(Unfinished::InputRequired(Box::new(InputRequiredResult::new(Some(open), state))))
    }
}
