//! What one profile shows to one caller, already serialised.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use trunkline_model::{Selection, ServerName};
use trunkline_profiles::EffectiveProfile;

use super::ListKind;
use super::app;
use super::cell::{ListCell, Phase};
use super::links::Taken;
use super::lists::{Entry, ServerLists};
use super::mirrored::{self, Mirrored};
use super::names::Names;
use super::page::{Listing, Listings, Tail};
use super::resources::{ResourceIndex, ResourceTarget};
use super::skill;
use crate::jsonrpc::{Fields, splice, text};
use crate::upstream::{Era, Greeting};

const GAPS: &str = "\"io.trunkline/servers\"";

/// A tool or prompt as its server knows it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub server: ServerName,
    /// The server's own name.
    pub own: String,
    /// The server's words on it, for people.
    pub description: Option<String>,
    /// Arguments that the server wants in headers too.
    pub mirrored: Vec<Mirrored>,
    /// Whether the server, of the legacy era, runs it only as a task.
    pub needs_task: bool,
    /// Where the profile shows resources of the server under other URIs than
    /// the server links to.
    links: Option<Arc<Taken>>,
}

impl Target {
    /// What is called before its server has said anything of it.
    pub(crate) fn unlisted(server: &ServerName, own: &str) -> Arc<Self> {
        let (server, own) = (server.clone(), own.to_owned());
        Arc::new(Self {
            server,
            own,
            description: None,
            mirrored: Vec::new(),
            needs_task: false,
            links: None,
        })
    }

    /// A result with its links as the profile shows them; the same bytes for
    /// nearly all servers.
    pub(crate) fn with_links_shown(&self, result: Bytes) -> Bytes {
        match &self.links {
            Some(taken) => taken.shown(result),
            None => result,
        }
    }
}

/// A server whose part of the lists is missing or old, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Gap {
    pub server: ServerName,
    pub state: &'static str,
    pub detail: Option<String>,
    /// Where a person connects the server, if that is what it waits for.
    pub connect_at: Option<String>,
}

/// One profile's catalogue for one caller.
#[derive(Debug, Default)]
pub(crate) struct View {
    listings: [Listing; 5],
    tools: HashMap<String, Arc<Target>>,
    prompts: HashMap<String, Arc<Target>>,
    resources: ResourceIndex,
    pub greetings: Vec<(ServerName, Arc<Greeting>)>,
    pub gaps: Vec<Gap>,
    /// What the lists' `_meta` says of the gaps.
    label: Option<String>,
}

impl View {
    /// Everything behind the opening bracket of a list's entries; none when
    /// the cursor is not of this list.
    pub(crate) fn page(&self, kind: ListKind, cursor: Option<&str>, era: Era) -> Option<&Arc<Tail>> {
        self.listings[kind as usize].page(cursor, era, self.label.as_deref())
    }

    /// A digest of the entries of each list.
    pub(crate) fn digests(&self) -> [u64; 5] {
        self.listings.each_ref().map(Listing::digest)
    }

    pub(crate) fn tool(&self, name: &str) -> Option<&Arc<Target>> {
        self.tools.get(name)
    }

    /// The tool with the server's own name `own`.
    pub(crate) fn tool_of(&self, server: &ServerName, own: &str) -> Option<&Arc<Target>> {
        self.tools.values().find(|target| target.server == *server && target.own == own)
    }

    pub(crate) fn prompt(&self, name: &str) -> Option<&Arc<Target>> {
        self.prompts.get(name)
    }

    /// Whether a server lists, or names, a resource under this URI.
    pub(crate) fn lists_resource(&self, uri: &str) -> bool {
        self.resources.lists(uri)
    }

    pub(crate) fn resource(&self, uri: &str) -> Option<ResourceTarget> {
        self.resources.resolve(uri)
    }

    pub(crate) fn tools(&self) -> impl Iterator<Item = (&String, &Arc<Target>)> {
        self.tools.iter()
    }

    /// Builds the view from what each server of the profile listed, in the
    /// profile's order.
    pub(crate) fn build(profile: &EffectiveProfile, cells: &[Arc<ListCell>], listings: &Listings) -> Self {
        let mut builder = Builder { profile, ..Builder::new(profile) };
        for cell in cells {
            builder.add(cell);
        }
        builder.finish(listings)
    }
}

/// Whether the profile shows its one server exactly as that server is.
pub(crate) fn is_transparent(profile: &EffectiveProfile) -> bool {
    let mut servers = profile.servers();
    match (servers.next(), servers.next()) {
        (Some((_, selection)), None) => {
            selection.prefix.as_deref() == Some("") && selection.rename.is_empty()
        }
        _ => false,
    }
}

struct Builder<'a> {
    profile: &'a EffectiveProfile,
    transparent: bool,
    tool_names: Names,
    prompt_names: Names,
    entries: [Vec<Bytes>; 5],
    view: View,
}

impl<'a> Builder<'a> {
    fn new(profile: &'a EffectiveProfile) -> Self {
        Self {
            profile,
            transparent: is_transparent(profile),
            tool_names: Names::default(),
            prompt_names: Names::default(),
            entries: Default::default(),
            view: View::default(),
        }
    }

    fn add(&mut self, cell: &ListCell) {
        let server = &cell.key.server;
        let state = cell.state();
        if let Some(gap) = gap_of(server, &state.phase, state.lists.is_some()) {
            self.view.gaps.push(gap);
        }
        let Some(lists) = state.lists else {
            // A URI that names this server must not be taken for nobody's.
            self.view.resources.add_server(server);
            return;
        };
        let Some((_, selection)) = self.profile.servers().find(|(name, _)| *name == server) else { return };
        self.view.greetings.push((server.clone(), Arc::clone(&lists.greeting)));
        self.add_resources(server, &lists);
        self.add_skills(server, &lists);
        self.add_apps(server, &lists);
        let links = self.view.resources.take_taken(server);
        self.add_tools(server, selection, &lists, links.as_ref());
        self.add_prompts(server, selection, &lists);
    }

    fn add_tools(
        &mut self,
        server: &ServerName,
        selection: &Selection,
        lists: &ServerLists,
        links: Option<&Arc<Taken>>,
    ) {
        let runs_tasks = runs_tasks(&lists.greeting);
        for entry in lists.tools.iter() {
            if !self.profile.admits_tool(server, &entry.key) {
                continue;
            }
            let shown = selection.rename.get(&entry.key).unwrap_or(&entry.key);
            let name = self.name(ListKind::Tools, server, selection, &entry.key, shown);
            let words = selection.overrides.get(&entry.key).and_then(|change| change.description.as_deref());
            let mut edits = edits_of(entry, &name, words);
            if let Some(links) = links {
                edits.extend(
                    app::resources_of(&entry.json)
                        .into_iter()
                        .filter_map(|(place, uri)| Some((place, text(&links.shown_uri(&uri)?)))),
                );
            }
            self.entries[ListKind::Tools as usize].push(edited(entry, edits));
            let mut target = target(server, entry, links.cloned());
            target.needs_task = runs_tasks && needs_task(&entry.json);
            self.view.tools.insert(name, Arc::new(target));
        }
    }

    fn add_prompts(&mut self, server: &ServerName, selection: &Selection, lists: &ServerLists) {
        for entry in lists.prompts.iter() {
            if !self.profile.admits_prompt(server, &entry.key) {
                continue;
            }
            let name = self.name(ListKind::Prompts, server, selection, &entry.key, &entry.key);
            self.entries[ListKind::Prompts as usize].push(shown_as(entry, &name));
            self.view.prompts.insert(name, Arc::new(target(server, entry, None)));
        }
    }

    fn add_resources(&mut self, server: &ServerName, lists: &ServerLists) {
        if lists.greeting.has_capability("resources") {
            self.view.resources.add_server(server);
        }
        for entry in lists.resources.iter() {
            if self.profile.admits_resource(server, &entry.key) {
                let uri = self.view.resources.add_resource(server, &entry.key);
                self.entries[ListKind::Resources as usize].push(shown_as(entry, &uri));
            }
        }
        for entry in lists.templates.iter() {
            if self.profile.admits_resource(server, &entry.key) {
                let uri = self.view.resources.add_template(server, &entry.key);
                self.entries[ListKind::Templates as usize].push(shown_as(entry, &uri));
            }
        }
    }

    fn add_apps(&mut self, server: &ServerName, lists: &ServerLists) {
        for entry in lists.tools.iter().filter(|entry| self.profile.admits_tool(server, &entry.key)) {
            for (_, uri) in app::resources_of(&entry.json) {
                self.view.resources.add_named(server, &uri);
            }
        }
    }

    fn add_skills(&mut self, server: &ServerName, lists: &ServerLists) {
        for entry in lists.skills.iter() {
            if !self.profile.admits_resource(server, &entry.key) {
                continue;
            }
            let is_taken = self.view.resources.add_skill(server, &entry.key);
            let shown = is_taken.then(|| skill::qualified(&entry.json, server)).flatten();
            self.entries[ListKind::Skills as usize].push(shown.unwrap_or_else(|| entry.json.clone()));
        }
    }

    fn name(
        &mut self,
        kind: ListKind,
        server: &ServerName,
        selection: &Selection,
        own: &str,
        shown: &str,
    ) -> String {
        let names = if kind == ListKind::Tools { &mut self.tool_names } else { &mut self.prompt_names };
        if self.transparent {
            names.verbatim(own);
            return own.to_owned();
        }
        let prefix = selection.prefix.as_deref().unwrap_or(server.as_str());
        names.name(server, prefix, own, shown)
    }

    fn finish(mut self, listings: &Listings) -> View {
        let label = labelled(&self.view.gaps);
        self.view.listings = self.entries.map(|entries| Listing::new(&entries, label.as_deref(), listings));
        self.view.label = label;
        self.view
    }
}

fn target(server: &ServerName, entry: &Entry, links: Option<Arc<Taken>>) -> Target {
    let description =
        entry.description_range.clone().and_then(|range| serde_json::from_slice(&entry.json[range]).ok());
    // Invalid annotations ask for nothing where they do not exclude the tool.
    let mirrored = mirrored::of_tool(&entry.json).unwrap_or_default();
    let (server, own) = (server.clone(), entry.key.clone());
    Target { server, own, description, mirrored, needs_task: false, links }
}

/// Whether the server can be asked to run tools as tasks (2025-11-25,
/// basic/utilities/tasks, "capabilities").
fn runs_tasks(greeting: &Greeting) -> bool {
    let within = |object, name| Fields::find(object, [name]).ok()?.raw(0);
    let tools = greeting
        .capability("tasks")
        .and_then(|tasks| within(tasks, "requests"))
        .and_then(|requests| within(requests, "tools"));
    greeting.era == Era::Legacy && tools.is_some_and(|tools| within(tools, "call").is_some())
}

/// Whether a tool runs only as a task (2025-11-25, server/tools).
fn needs_task(tool: &[u8]) -> bool {
    let tool = std::str::from_utf8(tool).unwrap_or_default();
    let execution = Fields::find(tool, ["execution"]).ok().and_then(|fields| fields.raw(0));
    let support = execution.and_then(|raw| Fields::find(raw, ["taskSupport"]).ok()?.raw(0));
    support == Some("\"required\"")
}

fn gap_of(server: &ServerName, phase: &Phase, has_lists: bool) -> Option<Gap> {
    let (state, detail, connect_at) = match phase {
        Phase::Fresh(_) | Phase::Stale => return None,
        Phase::New | Phase::Fetching if has_lists => return None,
        Phase::New | Phase::Fetching => ("starting", None, None),
        Phase::Failed { why, connect_at, .. } => ("failing", Some(why.clone()), connect_at.clone()),
    };
    Some(Gap { server: server.clone(), state, detail, connect_at })
}

/// The member of `_meta` that says whose part of a list is missing or old.
fn labelled(gaps: &[Gap]) -> Option<String> {
    let label = |gap: &Gap| {
        let name = text(gap.server.as_str());
        match &gap.detail {
            None => format!("{name}:{{\"state\":\"{}\"}}", gap.state),
            Some(detail) => format!("{name}:{{\"state\":\"{}\",\"detail\":{}}}", gap.state, text(detail)),
        }
    };
    let labels: Vec<String> = gaps.iter().map(label).collect();
    (!labels.is_empty()).then(|| [GAPS, ":{", &labels.join(","), "}"].concat())
}

/// The entry as the server wrote it, but for its key.
fn shown_as(entry: &Entry, key: &str) -> Bytes {
    edited(entry, edits_of(entry, key, None))
}

type Edits = Vec<(std::ops::Range<usize>, String)>;

/// What changes in an entry: its key and, where the profile says so, its description.
fn edits_of(entry: &Entry, key: &str, description: Option<&str>) -> Edits {
    let mut edits = Edits::new();
    if key != entry.key {
        edits.push((entry.key_range.clone(), text(key)));
    }
    if let Some(words) = description {
        match &entry.description_range {
            Some(range) => edits.push((range.clone(), text(words))),
            None => edits.push((
                entry.key_range.end..entry.key_range.end,
                format!(",\"description\":{}", text(words)),
            )),
        }
    }
    edits
}

fn edited(entry: &Entry, mut edits: Edits) -> Bytes {
    if edits.is_empty() {
        return entry.json.clone();
    }
    let json = std::str::from_utf8(&entry.json).unwrap_or_default();
    edits.sort_by_key(|(range, _)| range.start);
    let edits: Vec<_> = edits.iter().map(|(range, new)| (range.clone(), new.as_str())).collect();
    Bytes::from(splice(json, &edits))
}
