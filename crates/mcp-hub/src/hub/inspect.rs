//! What operators ask the hub: what a profile shows, what a server answers.

use futures_util::future::join_all;
use trunkline_model::{Identity, ServerName};

use super::{Hub, unknown};
use crate::upstream::{Offer, UpstreamError};

impl Hub {
    /// The tools that a profile shows, for people. None when there is no such
    /// profile.
    pub async fn tools_of(&self, profile: &str) -> Option<(Vec<ShownTool>, Vec<Missing>)> {
        let profile = self.profile(profile)?;
        let cell = self.view_cell_of(&profile, &Identity::hub(), None, &Offer::default());
        for list in &cell.cells {
            self.catalog.refresh(list);
        }
        join_all(cell.cells.iter().map(|list| list.first_answer(self.limits.list_wait))).await;
        let view = cell.current();
        let mut tools: Vec<ShownTool> = view
            .tools()
            .map(|(name, target)| ShownTool {
                name: name.clone(),
                server: target.server.clone(),
                original: target.own.clone(),
                description: target.description.clone(),
            })
            .collect();
        tools.sort_by(|one, other| one.name.cmp(&other.name));
        let missing = view.gaps.iter().map(|gap| Missing {
            server: gap.server.clone(),
            state: gap.state,
            detail: gap.detail.clone(),
        });
        Some((tools, missing.collect()))
    }

    /// Asks a server for all that it lists, now, as the hub itself.
    ///
    /// # Errors
    /// [`UpstreamError`] says what the server did not do.
    pub async fn probe(&self, server: &ServerName) -> Result<Probe, UpstreamError> {
        let key = self
            .upstreams
            .key(server, Identity::hub(), None, &Offer::default())
            .ok_or_else(|| unknown(server))?;
        let lists = self.catalog.fetch_all(&key).await?;
        let name_of = |entry: &crate::catalog::lists::Entry| entry.key.clone();
        Ok(Probe {
            protocol_version: lists.greeting.protocol_version.clone(),
            server_info: lists
                .greeting
                .server_info
                .as_deref()
                .and_then(|raw| serde_json::from_slice(raw).ok()),
            tools: lists.tools.iter().map(name_of).collect(),
            prompts: lists.prompts.iter().map(name_of).collect(),
            resources: lists.resources.iter().map(name_of).collect(),
            templates: lists.templates.iter().map(name_of).collect(),
        })
    }
}

/// A tool as a profile shows it.
#[derive(Debug, Clone, serde::Serialize)]
pub struct ShownTool {
    pub name: String,
    pub server: ServerName,
    pub original: String,
    pub description: Option<String>,
}

/// A server whose part of a profile's lists is not there, and why.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Missing {
    pub server: ServerName,
    pub state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What a server said when it was asked for everything.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Probe {
    pub protocol_version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub server_info: Option<serde_json::Value>,
    pub tools: Vec<String>,
    pub prompts: Vec<String>,
    pub resources: Vec<String>,
    pub templates: Vec<String>,
}
