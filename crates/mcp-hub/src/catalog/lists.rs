//! What one server instance listed.

use std::sync::Arc;

use bytes::Bytes;

use super::ListKind;
use crate::upstream::Greeting;

/// One entry of a list, as the server wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The whole object.
    pub json: Bytes,
    /// Its key: `name` of tools and prompts, `uri`, or `uriTemplate`.
    pub key: String,
    /// Where the key's value stands in `json`, quotes included.
    pub key_range: std::ops::Range<usize>,
    /// Where the description's value stands, when it has one.
    pub description_range: Option<std::ops::Range<usize>>,
}

/// Everything one server instance listed, and what it said of itself.
#[derive(Debug, Clone)]
pub(crate) struct ServerLists {
    pub greeting: Arc<Greeting>,
    pub tools: Arc<Vec<Entry>>,
    pub prompts: Arc<Vec<Entry>>,
    pub resources: Arc<Vec<Entry>>,
    pub templates: Arc<Vec<Entry>>,
    pub skills: Arc<Vec<Entry>>,
}

impl ServerLists {
    pub(crate) fn empty(greeting: Arc<Greeting>) -> Self {
        let none = Arc::new(Vec::new());
        Self {
            greeting,
            tools: Arc::clone(&none),
            prompts: Arc::clone(&none),
            resources: Arc::clone(&none),
            templates: Arc::clone(&none),
            skills: none,
        }
    }

    pub(crate) fn of(&self, kind: ListKind) -> &Arc<Vec<Entry>> {
        match kind {
            ListKind::Tools => &self.tools,
            ListKind::Prompts => &self.prompts,
            ListKind::Resources => &self.resources,
            ListKind::Templates => &self.templates,
            ListKind::Skills => &self.skills,
        }
    }

    pub(crate) fn put(&mut self, kind: ListKind, entries: Arc<Vec<Entry>>) {
        match kind {
            ListKind::Tools => self.tools = entries,
            ListKind::Prompts => self.prompts = entries,
            ListKind::Resources => self.resources = entries,
            ListKind::Templates => self.templates = entries,
            ListKind::Skills => self.skills = entries,
        }
    }
}
