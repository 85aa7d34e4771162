//! The unit of governance: a named selection of servers, tools and models
//! with its own security.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Members, ProfileName, ServerName};

/// One profile as the operator wrote it.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileSpec {
    pub name: ProfileName,
    pub auth: ProfileAuth,
    /// Which of those who can sign in may use it; none means all of them.
    pub members: Option<Members>,
    /// Tools that access tokens open only with a scope of their own, by its name.
    pub scopes: BTreeMap<String, ProfileScope>,
    /// In the order of the configuration; where names collide the earlier server keeps its name.
    pub servers: IndexMap<ServerName, Selection>,
    /// The model routes that callers of this profile may name.
    pub models: Vec<String>,
}

/// A scope that access tokens need for some tools of a profile.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileScope {
    /// Globs over the names that the profile shows.
    #[schemars(length(min = 1))]
    pub tools: Vec<String>,
    /// What it allows, for the person who is asked.
    #[serde(default)]
    pub description: Option<String>,
}

/// How callers of a profile prove who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProfileAuth {
    /// An access token from our authorization server; API keys are accepted too.
    #[default]
    Oauth,
    /// An API key.
    ApiKey,
    /// Nobody is asked; loopback only, unless the configuration says otherwise in words.
    None,
}

impl ProfileAuth {
    /// The name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Oauth => "oauth",
            Self::ApiKey => "api_key",
            Self::None => "none",
        }
    }
}

/// What a profile takes from one server and how it shows it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Selection {
    /// What stands before each tool's and prompt's name, with `__` between; the
    /// server's name when absent, nothing when `""`.
    pub prefix: Option<String>,
    /// Which tools, by the server's own names.
    pub tools: ToolFilter,
    /// Which prompts, by the server's own names.
    pub prompts: ToolFilter,
    /// Which resources, by URI.
    pub resources: ToolFilter,
    /// The server's own tool name to the name shown (which still gets the prefix).
    pub rename: BTreeMap<String, String>,
    /// The server's own tool name to what is shown in place of the server's words.
    pub overrides: BTreeMap<String, ToolOverride>,
}

/// Globs over names; `exclude` wins over `include`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ToolFilter {
    /// Only what matches one of these; everything when absent.
    pub include: Option<Vec<String>>,
    /// Never what matches one of these.
    pub exclude: Vec<String>,
}

/// What a profile says of a tool in place of the server's words.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ToolOverride {
    pub description: Option<String>,
}
