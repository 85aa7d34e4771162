//! A profile with its globs compiled: what it selects and what it hides.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use thiserror::Error;
use trunkline_model::{
    Caller, Members, ProfileAuth, ProfileName, ProfileSpec, Selection, ServerName, ToolFilter,
};

/// A profile ready to decide. Made once for each configuration, then shared.
#[derive(Debug)]
pub struct EffectiveProfile {
    spec: ProfileSpec,
    /// In the order of `spec.servers`.
    filters: Vec<ServerFilters>,
    /// The tools of each of `spec.scopes`, in their order.
    scopes: Vec<GlobSet>,
}

/// A glob that cannot be compiled.
#[derive(Debug, Error)]
#[error("profile {profile}, {list}: {pattern:?} is not a glob: {reason}")]
pub struct ProfileError {
    pub profile: ProfileName,
    /// Where it stands, such as `servers.files.tools.include`.
    pub list: String,
    pub pattern: String,
    pub reason: String,
}

#[derive(Debug)]
struct ServerFilters {
    tools: Filter,
    prompts: Filter,
    resources: Filter,
}

#[derive(Debug)]
struct Filter {
    /// None admits everything that is not excluded.
    include: Option<GlobSet>,
    exclude: GlobSet,
}

/// Where a glob stands, for its error.
struct Place<'a> {
    profile: &'a ProfileName,
    within: String,
}

impl EffectiveProfile {
    /// Compiles every glob of `spec`.
    ///
    /// # Errors
    /// [`ProfileError`] names the first glob that is none.
    pub fn new(spec: &ProfileSpec) -> Result<Self, ProfileError> {
        let filters = spec
            .servers
            .iter()
            .map(|(server, selection)| ServerFilters::new(&spec.name, server, selection))
            .collect::<Result<_, _>>()?;
        let scopes = spec.scopes.iter().map(|(name, scope)| {
            glob_set(&Place { profile: &spec.name, within: format!("scopes.{name}") }, "tools", &scope.tools)
        });
        Ok(Self { spec: spec.clone(), filters, scopes: scopes.collect::<Result<_, _>>()? })
    }

    pub fn name(&self) -> &ProfileName {
        &self.spec.name
    }

    /// How callers prove who they are.
    pub fn auth(&self) -> ProfileAuth {
        self.spec.auth
    }

    /// Which of those who can sign in may use it; none means all of them.
    pub fn members(&self) -> Option<&Members> {
        self.spec.members.as_ref()
    }

    /// The selected servers, in the order of the configuration.
    pub fn servers(&self) -> impl ExactSizeIterator<Item = (&ServerName, &Selection)> {
        self.spec.servers.iter()
    }

    /// What the profile takes from a server; none when it does not select it.
    pub fn selection(&self, server: &ServerName) -> Option<&Selection> {
        self.spec.servers.get(server)
    }

    /// Whether the profile shows the tool with the server's own name `tool`.
    pub fn admits_tool(&self, server: &ServerName, tool: &str) -> bool {
        self.filters_of(server).is_some_and(|filters| filters.tools.admits(tool))
    }

    /// Whether the profile shows the prompt with the server's own name `prompt`.
    pub fn admits_prompt(&self, server: &ServerName, prompt: &str) -> bool {
        self.filters_of(server).is_some_and(|filters| filters.prompts.admits(prompt))
    }

    /// Whether the profile shows the resource, or resource template, with the
    /// server's own `uri`.
    pub fn admits_resource(&self, server: &ServerName, uri: &str) -> bool {
        self.filters_of(server).is_some_and(|filters| filters.resources.admits(uri))
    }

    /// The scopes that the tool shown as `tool` needs and the caller's access
    /// token lacks (RFC 6750 section 3.1). What is no access token lacks none.
    pub fn lacking<'a>(&'a self, caller: &Caller, tool: &str) -> Vec<&'a str> {
        if caller.scope().is_none() {
            return Vec::new();
        }
        let scopes = self.spec.scopes.keys().zip(&self.scopes);
        let lacking = scopes.filter(|(name, tools)| !caller.has_scope(name) && tools.is_match(tool));
        lacking.map(|(name, _)| name.as_str()).collect()
    }

    /// The profile as the operator wrote it.
    pub fn spec(&self) -> &ProfileSpec {
        &self.spec
    }

    fn filters_of(&self, server: &ServerName) -> Option<&ServerFilters> {
        self.filters.get(self.spec.servers.get_index_of(server)?)
    }
}

impl ServerFilters {
    fn new(profile: &ProfileName, server: &ServerName, selection: &Selection) -> Result<Self, ProfileError> {
        let filter =
            |noun, lists| Filter::new(&Place { profile, within: format!("servers.{server}.{noun}") }, lists);
        Ok(Self {
            tools: filter("tools", &selection.tools)?,
            prompts: filter("prompts", &selection.prompts)?,
            resources: filter("resources", &selection.resources)?,
        })
    }
}

impl Filter {
    fn new(place: &Place<'_>, lists: &ToolFilter) -> Result<Self, ProfileError> {
        let include = lists.include.as_deref().map(|patterns| glob_set(place, "include", patterns));
        Ok(Self { include: include.transpose()?, exclude: glob_set(place, "exclude", &lists.exclude)? })
    }

    fn admits(&self, name: &str) -> bool {
        !self.exclude.is_match(name) && self.include.as_ref().is_none_or(|include| include.is_match(name))
    }
}

/// Globs over names, in which `*` also matches `/`: a name is not a path.
fn glob_set(place: &Place<'_>, list: &str, patterns: &[String]) -> Result<GlobSet, ProfileError> {
    let fault = |pattern: &str, error: &globset::Error| ProfileError {
        profile: place.profile.clone(),
        list: format!("{}.{list}", place.within),
        pattern: pattern.to_owned(),
        reason: error.kind().to_string(),
    };
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern)
            .literal_separator(false)
            .backslash_escape(true)
            .build()
            .map_err(|error| fault(pattern, &error))?;
        set.add(glob);
    }
    set.build().map_err(|error| fault(&patterns.join(", "), &error))
}

#[cfg(test)]
mod tests;
