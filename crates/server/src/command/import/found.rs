//! A server as another configuration describes it.

use indexmap::IndexMap;

use super::text::{Text, Variable};

/// One server, before it gets its place in the hub's configuration.
#[derive(Debug, Clone)]
pub(super) struct Found {
    /// As its source calls it.
    pub(super) name: String,
    pub(super) endpoint: Endpoint,
    /// Only these tools, when there are any; and never those.
    pub(super) include: Vec<String>,
    pub(super) exclude: Vec<String>,
    /// What a person should know about it.
    pub(super) notes: Vec<String>,
}

#[derive(Debug, Clone)]
pub(super) enum Endpoint {
    Stdio { command: Text, args: Vec<Text>, env: IndexMap<String, Text>, cwd: Option<Text> },
    Http { url: Text, sse: bool, headers: IndexMap<String, Text>, oauth_scopes: Option<Vec<String>> },
}

/// A server that is not taken, and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct Skipped {
    pub(super) name: String,
    pub(super) reason: String,
}

/// What one file holds.
#[derive(Debug, Default)]
pub(super) struct Contents {
    /// What kind of file it is, in words.
    pub(super) format: &'static str,
    pub(super) found: Vec<Found>,
    pub(super) skipped: Vec<Skipped>,
}

impl Found {
    pub(super) fn new(name: &str, endpoint: Endpoint) -> Self {
        Self { name: name.to_owned(), endpoint, include: Vec::new(), exclude: Vec::new(), notes: Vec::new() }
    }

    pub(super) fn variables(&self) -> Vec<&Variable> {
        let texts: Vec<&Text> = match &self.endpoint {
            Endpoint::Stdio { command, args, env, cwd } => {
                std::iter::once(command).chain(args).chain(env.values()).chain(cwd).collect()
            }
            Endpoint::Http { url, headers, .. } => std::iter::once(url).chain(headers.values()).collect(),
        };
        texts.into_iter().flat_map(Text::variables).collect()
    }
}

impl Contents {
    pub(super) fn skip(&mut self, name: &str, reason: impl Into<String>) {
        self.skipped.push(Skipped { name: name.to_owned(), reason: reason.into() });
    }
}
