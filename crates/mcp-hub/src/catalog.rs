//! What tools, prompts and resources exist, under which names.
//!
//! [`lists`] keeps what each server instance listed, warm; [`view`] is what
//! one profile shows of it to one caller, already serialised; [`names`] gives
//! every entry a name that all clients accept; [`seed`] shows a new caller what
//! the hub itself was told; [`skill`] is what a profile shows of skills.

mod app;
pub(crate) mod cell;
pub(crate) mod fetch;
mod gzip;
pub(crate) mod links;
pub(crate) mod lists;
pub(crate) mod mirrored;
pub(crate) mod names;
pub(crate) mod page;
pub(crate) mod resources;
mod seed;
pub(crate) mod skill;
pub(crate) mod view;

/// What a server can list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum ListKind {
    Tools,
    Prompts,
    Resources,
    Templates,
    /// Of an extension (SEP-2640).
    Skills,
}

impl ListKind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Tools, Self::Prompts, Self::Resources, Self::Templates, Self::Skills];

    /// The method that asks for the list.
    pub(crate) const fn method(self) -> &'static str {
        match self {
            Self::Tools => "tools/list",
            Self::Prompts => "prompts/list",
            Self::Resources => "resources/list",
            Self::Templates => "resources/templates/list",
            Self::Skills => "skills/list",
        }
    }

    /// The member of the result that holds the entries.
    pub(crate) const fn member(self) -> &'static str {
        match self {
            Self::Tools => "tools",
            Self::Prompts => "prompts",
            Self::Resources => "resources",
            Self::Templates => "resourceTemplates",
            Self::Skills => "skills",
        }
    }

    /// Whether a server that greets so has such a list.
    pub(crate) fn is_offered(self, greeting: &Greeting) -> bool {
        match self {
            Self::Tools => greeting.has_capability("tools"),
            Self::Prompts => greeting.has_capability("prompts"),
            Self::Resources | Self::Templates => greeting.has_capability("resources"),
            Self::Skills => greeting.has_extension(SKILLS),
        }
    }

    /// The notification that says the list is another one now. Skills are
    /// resources, and have none of their own.
    pub(crate) const fn changed(self) -> &'static str {
        match self {
            Self::Tools => "notifications/tools/list_changed",
            Self::Prompts => "notifications/prompts/list_changed",
            Self::Resources | Self::Templates | Self::Skills => "notifications/resources/list_changed",
        }
    }
}

/// The extension by which servers serve skills (SEP-2640).
pub(crate) const SKILLS: &str = "io.modelcontextprotocol/skills";

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use trunkline_model::{Clock, Endpoint, Identity, ServerName};
use trunkline_profiles::{Guard, Permit};
use trunkline_web::Tasks;

use self::cell::ListCell;
use self::lists::ServerLists;
use crate::downstream::subscriber::Subscriber;
use crate::upstream::pool::{Lease, Upstreams};
use crate::upstream::{self, Era, Greeting, InstanceKey, UpstreamError};

/// Cells that nobody used for this long are forgotten.
const FORGET_AFTER: Duration = Duration::from_hours(1);

/// A server that has not listed everything by then has failed, and is asked
/// again when somebody wants to know.
const LONGEST_FETCH: Duration = Duration::from_mins(2);

/// What clients are shown may be something else now.
#[derive(Debug, Clone)]
pub(crate) enum ListChanged {
    /// An instance lists something else; whether somebody was shown what was
    /// there before.
    Instance { key: InstanceKey, tell: bool },
    /// The configuration changed under those who listened.
    Configuration(Vec<Arc<Subscriber>>),
}

/// The lists of every instance in use.
#[derive(Debug)]
pub(crate) struct Catalog {
    upstreams: Arc<Upstreams>,
    guard: Arc<Guard>,
    clock: Arc<dyn Clock>,
    tasks: Tasks,
    cells: Mutex<Cells>,
    changes: mpsc::Sender<ListChanged>,
}

type Cells = HashMap<InstanceKey, Arc<ListCell>>;

impl Catalog {
    /// A catalogue, and where it says what changed.
    pub(crate) fn new(
        upstreams: Arc<Upstreams>,
        guard: Arc<Guard>,
        clock: Arc<dyn Clock>,
        tasks: Tasks,
    ) -> (Arc<Self>, mpsc::Receiver<ListChanged>) {
        let (changes, receiver) = mpsc::channel(1_024);
        let cells = Mutex::default();
        (Arc::new(Self { upstreams, guard, clock, tasks, cells, changes }), receiver)
    }

    /// The cell of an instance, made when it is new.
    pub(crate) fn cell(&self, key: &InstanceKey) -> Arc<ListCell> {
        let now = self.clock.now();
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cell) = cells.get(key) {
            cell.touch(now);
            return Arc::clone(cell);
        }
        let cell = Arc::new(ListCell::new(key.clone(), now, self.seed_of(key, &cells)));
        cells.insert(key.clone(), Arc::clone(&cell));
        cell
    }

    /// Asks for the lists of `cell` in the background when that is due.
    pub(crate) fn refresh(self: &Arc<Self>, cell: &Arc<ListCell>) {
        if cell.claim_fetch(self.clock.now()) {
            let (catalog, cell) = (Arc::clone(self), Arc::clone(cell));
            self.tasks.spawn_until_stop(async move { catalog.fetch(&cell).await });
        }
    }

    /// Notes that an instance said its lists changed, and asks again.
    pub(crate) fn changed(self: &Arc<Self>, key: &InstanceKey) {
        let known = self.cells.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        if let Some(cell) = known {
            cell.mark_stale();
            self.refresh(&cell);
        }
    }

    /// Asks again for what `server` lists to those whom `concerned` names: they
    /// have come to see it with other eyes.
    pub(crate) fn ask_again(
        self: &Arc<Self>,
        server: &ServerName,
        concerned: impl Fn(Option<&Identity>) -> bool,
    ) {
        let known: Vec<_> = {
            let cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
            let wanted =
                |cell: &&Arc<ListCell>| cell.key.server == *server && concerned(cell.key.scope.identity());
            cells.values().filter(wanted).cloned().collect()
        };
        for cell in known {
            cell.mark_stale();
            self.refresh(&cell);
        }
    }

    /// Notes that profiles may show something else to those who listen.
    pub(crate) fn configured_anew(&self, listening: Vec<Arc<Subscriber>>) {
        let changes = self.changes.clone();
        self.tasks.spawn_until_stop(async move {
            let _ = changes.send(ListChanged::Configuration(listening)).await;
        });
    }

    /// Notes that an instance said its lists changed, which is otherwise shown
    /// what `like` lists. Its own are asked for when somebody wants to know.
    pub(crate) fn changed_apart(&self, key: &InstanceKey, like: &InstanceKey) {
        let now = self.clock.now();
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let lists = cells.get(like).and_then(|cell| cell.state().lists);
        let new = || Arc::new(ListCell::new(key.clone(), now, lists));
        cells.entry(key.clone()).or_insert_with(new).mark_stale_and_told();
    }

    /// The cell of an instance when it has one.
    pub(crate) fn known(&self, key: &InstanceKey) -> Option<Arc<ListCell>> {
        let cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let cell = cells.get(key)?;
        cell.touch(self.clock.now());
        Some(Arc::clone(cell))
    }

    /// Forgets the lists of one instance.
    pub(crate) fn forget_cell(&self, key: &InstanceKey) {
        self.cells.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// How many tools a server listed last, to anybody; none when it never did.
    pub(crate) fn tool_count(&self, server: &ServerName) -> Option<usize> {
        let cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        let of_server = cells.values().filter(|cell| cell.key.server == *server);
        of_server.filter_map(|cell| Some(cell.state().lists?.tools.len())).max()
    }

    /// Forgets all lists of a server.
    pub(crate) fn forget(&self, server: &ServerName) {
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        cells.retain(|key, _| key.server != *server);
    }

    /// Forgets the lists of servers that are gone and of callers long idle.
    pub(crate) fn sweep(&self) {
        let now = self.clock.now();
        let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        cells.retain(|key, cell| {
            let wanted = seed::is_nobodys(key) || cell.idle_for(now) < FORGET_AFTER;
            wanted && self.upstreams.spec(&key.server).is_some()
        });
    }

    async fn fetch(self: &Arc<Self>, cell: &Arc<ListCell>) {
        self.let_the_hub_ask_first(cell).await;
        loop {
            cell.pace().await;
            match self.fetch_all(&cell.key).await {
                Ok(lists) => self.keep(cell, lists).await,
                Err(error) => {
                    tracing::warn!(server = %cell.key.server, %error, "the lists of a server could not be had");
                    // What was listed before is shown all the same.
                    cell.fail(&error, self.clock.now());
                    return;
                }
            }
            // The server said "changed" while it was being asked.
            if !(cell.state().phase == cell::Phase::Stale && cell.claim_fetch(self.clock.now())) {
                return;
            }
        }
    }

    async fn keep(self: &Arc<Self>, cell: &Arc<ListCell>, mut lists: ServerLists) {
        let before = cell.state();
        let mut changed = false;
        for kind in ListKind::ALL {
            match before.lists.as_deref().map(|old| old.of(kind)) {
                // Kept once, however many callers are shown the same.
                Some(old) if old == lists.of(kind) => lists.put(kind, Arc::clone(old)),
                old => changed |= old.is_some(),
            }
        }
        let tell = cell.put(Arc::new(lists), changed, self.clock.now());
        self.tell(cell, tell).await;
        self.seed_after(cell, before.seeded && changed).await;
    }

    async fn tell(&self, cell: &ListCell, tell: bool) {
        // The receiver lives as long as the hub; at shutdown nobody is left to tell.
        let _ = self.changes.send(ListChanged::Instance { key: cell.key.clone(), tell }).await;
    }

    /// Asks an instance for all that it lists. A start is bounded by itself.
    ///
    /// # Errors
    /// What the start or the server met; an operator sees it as the server's
    /// state too.
    pub(crate) async fn fetch_all(&self, key: &InstanceKey) -> Result<ServerLists, UpstreamError> {
        let permit = self.guard.housekeeping(&key.server);
        let lease = self.upstreams.connection(key).await?;
        let asked = upstream::within(LONGEST_FETCH, ask_for_all(&lease, &permit)).await;
        let mut lists = asked.inspect_err(|error| lease.failed(error))?;
        if lists.greeting.era == Era::Modern && self.is_over_http(&key.server) {
            mirrored::reject_invalid(Arc::make_mut(&mut lists.tools), &key.server);
        }
        Ok(lists)
    }

    fn is_over_http(&self, server: &ServerName) -> bool {
        self.upstreams.spec(server).is_some_and(|spec| matches!(spec.endpoint, Endpoint::Http(_)))
    }
}

async fn ask_for_all(lease: &Lease, permit: &Permit) -> Result<ServerLists, UpstreamError> {
    let greeting = Arc::new(lease.greeting().clone());
    let mut lists = ServerLists::empty(Arc::clone(&greeting));
    for kind in ListKind::ALL {
        if kind.is_offered(&greeting) {
            match fetch::fetch(lease, permit, kind).await {
                Ok(entries) => lists.put(kind, Arc::new(entries)),
                // What goes wrong with an extension does not cost the rest.
                Err(error @ UpstreamError::Protocol { .. }) if kind == ListKind::Skills => {
                    tracing::warn!(server = %lease.spec().name, %error, "the skills of a server could not be had");
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(lists)
}
