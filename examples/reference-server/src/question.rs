//! What the server asks its client for.

use std::collections::BTreeMap;

use rmcp::ErrorData;
use rmcp::model::{ClientResult, InputRequest, ServerRequest};
use serde_json::{Value, json};

use crate::capability::Capability;

/// The client's results, under the keys of their questions.
pub(crate) type Answers = BTreeMap<String, Value>;

/// One request to the client, under the key that its answer will carry.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    pub(crate) key: String,
    pub(crate) capability: Capability,
    pub(crate) request: InputRequest,
}

impl Question {
    /// Lets the user fill in a form. `schema` is that of an object with fields of primitive types.
    pub(crate) fn form(key: &str, message: &str, schema: &Value) -> Result<Self, ErrorData> {
        let params = json!({ "mode": "form", "message": message, "requestedSchema": schema });
        Self::new(key, Capability::Form, "elicitation/create", &params)
    }

    /// [`Self::form`] with one required text field.
    pub(crate) fn text(key: &str, message: &str, field: &str) -> Result<Self, ErrorData> {
        let schema =
            json!({ "type": "object", "properties": { field: { "type": "string" } }, "required": [field] });
        Self::form(key, message, &schema)
    }

    /// [`Self::form`] with one required yes or no.
    pub(crate) fn confirmation(key: &str, message: &str, field: &str) -> Result<Self, ErrorData> {
        let schema =
            json!({ "type": "object", "properties": { field: { "type": "boolean" } }, "required": [field] });
        Self::form(key, message, &schema)
    }

    /// Lets the user visit a URL. `visit` is its name in the legacy era; the modern one has none, and ignores it.
    pub(crate) fn url(key: &str, message: &str, url: &str, visit: &str) -> Result<Self, ErrorData> {
        let params = json!({ "mode": "url", "message": message, "url": url, "elicitationId": visit });
        Self::new(key, Capability::Url, "elicitation/create", &params)
    }

    /// Lets the client's model answer `prompt`.
    pub(crate) fn model(key: &str, prompt: &str, max_tokens: u32) -> Result<Self, ErrorData> {
        let message = json!({ "role": "user", "content": { "type": "text", "text": prompt } });
        let params = json!({ "messages": [message], "maxTokens": max_tokens });
        Self::new(key, Capability::Sampling, "sampling/createMessage", &params)
    }

    /// Lets the client list its roots.
    pub(crate) fn roots(key: &str) -> Result<Self, ErrorData> {
        Self::new(key, Capability::Roots, "roots/list", &json!({}))
    }

    fn new(key: &str, capability: Capability, method: &str, params: &Value) -> Result<Self, ErrorData> {
        let request = serde_json::from_value(json!({ "method": method, "params": params }))
            .map_err(|error| ErrorData::internal_error(format!("a malformed question: {error}"), None))?;
        Ok(Self { key: key.to_owned(), capability, request })
    }

    /// Whether `answer` has the shape of this question's result, so that it may be relied on.
    pub(crate) fn is_answered_by(&self, answer: &Value) -> bool {
        match self.capability {
            Capability::Form => match answer["action"].as_str() {
                Some("accept") => self.has_required_fields(&answer["content"]),
                Some("decline" | "cancel") => true,
                _ => false,
            },
            Capability::Url => matches!(answer["action"].as_str(), Some("accept" | "decline" | "cancel")),
            Capability::Sampling => answer["role"].is_string() && !answer["content"].is_null(),
            Capability::Roots => answer["roots"].is_array(),
            Capability::Tasks => false,
        }
    }

    fn has_required_fields(&self, content: &Value) -> bool {
        let schema = serde_json::to_value(&self.request).unwrap_or_default();
        let required =
            schema["params"]["requestedSchema"]["required"].as_array().cloned().unwrap_or_default();
        content.is_object()
            && required.iter().filter_map(Value::as_str).all(|field| content.get(field).is_some())
    }

    /// The question as a request of its own, as the legacy era asks it.
    pub(crate) fn into_server_request(self) -> Option<ServerRequest> {
        match self.request {
            InputRequest::CreateMessage(request) => Some(request.into()),
            InputRequest::Elicitation(request) => Some(request.into()),
            InputRequest::ListRoots(request) => Some(request.into()),
            _ => None,
        }
    }
}

/// The result of such a request, as the modern era carries it.
pub(crate) fn answer_of(result: &ClientResult) -> Value {
    serde_json::to_value(result).unwrap_or_default()
}

/// The text that the user put into `field`, when the form was accepted.
pub(crate) fn field<'a>(answers: &'a Answers, key: &str, field: &str) -> Option<&'a str> {
    answers.get(key)?.get("content")?.get(field)?.as_str()
}

/// What the client's model said.
pub(crate) fn said<'a>(answers: &'a Answers, key: &str) -> Option<&'a str> {
    let content = answers.get(key)?.get("content")?;
    let block = content.get(0).unwrap_or(content);
    block.get("text")?.as_str()
}

/// Whether the user accepted, and what came with it, for a person to read.
pub(crate) fn outcome(answers: &Answers, key: &str) -> String {
    let answer = answers.get(key).cloned().unwrap_or_default();
    format!("action={}, content={}", answer["action"].as_str().unwrap_or("none"), answer["content"])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_needs_its_required_fields() {
        let question = Question::text("who", "Who?", "name").unwrap();
        assert!(question.is_answered_by(&json!({ "action": "accept", "content": { "name": "Ada" } })));
        assert!(question.is_answered_by(&json!({ "action": "decline" })));
        for wrong in [
            json!(12345),
            json!(null),
            json!({ "action": "perhaps" }),
            json!({ "action": "accept" }),
            json!({ "action": "accept", "content": { "age": 3 } }),
        ] {
            assert!(!question.is_answered_by(&wrong), "{wrong}");
        }
    }

    #[test]
    fn every_question_is_one_of_the_three_requests() {
        let questions = [
            Question::confirmation("sure", "Sure?", "ok"),
            Question::url("visit", "Visit", "https://example.com/", "visit-1"),
            Question::model("model", "Why?", 10),
            Question::roots("roots"),
        ];
        for question in questions {
            assert!(question.unwrap().into_server_request().is_some());
        }
    }
}
