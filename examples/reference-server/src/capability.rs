//! What a client must have declared before it may be asked.

use rmcp::model::{ClientCapabilities, TASKS_EXTENSION_ID};
use serde_json::{Value, json};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Capability {
    Sampling,
    /// Elicitation with a form. An empty `elicitation` object means it too.
    Form,
    /// Elicitation by a URL that the user visits.
    Url,
    Roots,
    Tasks,
}

impl Capability {
    pub(crate) fn is_declared_by(self, client: Option<&ClientCapabilities>) -> bool {
        let Some(client) = client else { return false };
        match self {
            Self::Sampling => client.sampling.is_some(),
            Self::Form => client
                .elicitation
                .as_ref()
                .is_some_and(|elicitation| elicitation.form.is_some() || elicitation.url.is_none()),
            Self::Url => client.elicitation.as_ref().is_some_and(|elicitation| elicitation.url.is_some()),
            Self::Roots => client.roots.is_some(),
            Self::Tasks => client.supports_tasks(),
        }
    }

    /// In the words of the client's declaration.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sampling => "sampling",
            Self::Form => "elicitation.form",
            Self::Url => "elicitation.url",
            Self::Roots => "roots",
            Self::Tasks => TASKS_EXTENSION_ID,
        }
    }

    /// As the error `-32021` names it.
    pub(crate) fn declaration(self) -> Value {
        match self {
            Self::Sampling => json!({ "sampling": {} }),
            Self::Form => json!({ "elicitation": { "form": {} } }),
            Self::Url => json!({ "elicitation": { "url": {} } }),
            Self::Roots => json!({ "roots": {} }),
            Self::Tasks => json!({ "extensions": { TASKS_EXTENSION_ID: {} } }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declares(declaration: Value, capability: Capability) -> bool {
        capability.is_declared_by(serde_json::from_value(declaration).ok().as_ref())
    }

    #[test]
    fn every_declaration_declares_its_capability() {
        for capability in
            [Capability::Sampling, Capability::Form, Capability::Url, Capability::Roots, Capability::Tasks]
        {
            assert!(declares(capability.declaration(), capability), "{capability:?}");
            assert!(!declares(json!({}), capability), "{capability:?}");
        }
    }

    #[test]
    fn an_empty_elicitation_is_a_form() {
        assert!(declares(json!({ "elicitation": {} }), Capability::Form));
        assert!(!declares(json!({ "elicitation": {} }), Capability::Url));
    }

    #[test]
    fn who_declares_only_urls_gets_no_form() {
        assert!(!declares(Capability::Url.declaration(), Capability::Form));
    }
}
