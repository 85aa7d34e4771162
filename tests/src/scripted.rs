//! A scripted MCP server on loopback: both eras over streamable HTTP, any
//! number of tools, answers that wait, and a record of what reached it.

use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Result, bail};
use axum::Router;
use http::HeaderMap;
use tokio::net::TcpListener;
use tokio::sync::{broadcast, watch};
use tokio::task::JoinHandle;

mod answer;
mod door;

/// Requests kept for [`ScriptedServer::received`]; more are only counted.
const KEPT: usize = 2_000;

/// What a scripted server is like.
#[derive(Debug, Clone)]
pub struct Script {
    /// Its `serverInfo.name`, which its answers repeat.
    pub name: String,
    pub eras: Eras,
    /// It has the tools `tool_000`, `tool_001`, … which answer
    /// `NAME/tool_000: TEXT` where `TEXT` is their argument `text`.
    pub tools: usize,
    /// The text of each answer is filled up with dots to this many bytes.
    pub answer_bytes: usize,
    /// Entries of a list on each of its pages.
    pub page: usize,
    pub holds: Holds,
    /// Answers come as a stream of one event instead of JSON.
    pub streams: bool,
}

/// Which eras a scripted server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Eras {
    Both,
    /// `initialize` and sessions alone; everything else without a session is refused.
    Legacy,
    /// 2026-07-28 alone.
    Modern,
}

/// What a scripted server keeps back until [`ScriptedServer::release`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    Nothing,
    /// Answers to `tools/call`.
    Calls,
    /// Answers to every `…/list`.
    Lists,
    /// Every answer.
    Everything,
}

impl Script {
    /// A server of both eras with `tools` tools that answers at once.
    pub fn new(name: &str, tools: usize) -> Self {
        Self {
            name: name.to_owned(),
            eras: Eras::Both,
            tools,
            answer_bytes: 0,
            page: 1_000,
            holds: Holds::Nothing,
            streams: false,
        }
    }

    #[must_use]
    pub fn eras(self, eras: Eras) -> Self {
        Self { eras, ..self }
    }

    #[must_use]
    pub fn holds(self, holds: Holds) -> Self {
        Self { holds, ..self }
    }

    #[must_use]
    pub fn page(self, page: usize) -> Self {
        Self { page, ..self }
    }

    #[must_use]
    pub fn answer_bytes(self, answer_bytes: usize) -> Self {
        Self { answer_bytes, ..self }
    }

    #[must_use]
    pub fn streams(self) -> Self {
        Self { streams: true, ..self }
    }
}

/// One HTTP request as it reached the server.
#[derive(Debug, Clone)]
pub struct Received {
    pub http_method: http::Method,
    pub headers: HeaderMap,
    pub body: String,
    /// The JSON-RPC method, where the body has one.
    pub method: Option<String>,
}

/// A running scripted server; it ends when this is dropped.
#[derive(Debug)]
pub struct ScriptedServer {
    pub url: String,
    state: Arc<State>,
    task: JoinHandle<()>,
}

/// What the handlers share.
#[derive(Debug)]
struct State {
    script: Script,
    tools: AtomicUsize,
    sessions: Mutex<BTreeSet<String>>,
    next_session: AtomicU64,
    requests: AtomicU64,
    held: watch::Sender<usize>,
    received: Mutex<VecDeque<Received>>,
    released: watch::Sender<bool>,
    announcements: broadcast::Sender<String>,
}

impl ScriptedServer {
    /// Listens on a free port of loopback.
    pub async fn start(script: Script) -> Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
        let url = format!("http://{}/mcp", listener.local_addr()?);
        let state = Arc::new(State {
            tools: AtomicUsize::new(script.tools),
            script,
            sessions: Mutex::default(),
            next_session: AtomicU64::new(1),
            requests: AtomicU64::new(0),
            held: watch::Sender::new(0),
            received: Mutex::default(),
            released: watch::Sender::new(false),
            announcements: broadcast::Sender::new(64),
        });
        let router =
            Router::new().route("/mcp", axum::routing::any(door::serve)).with_state(Arc::clone(&state));
        let task = tokio::spawn(async move {
            // Serving ends with the test; a failure shows as refused connections there.
            drop(axum::serve(listener, router).await);
        });
        Ok(Self { url, state, task })
    }

    /// HTTP requests that reached the server since it started.
    pub fn requests(&self) -> u64 {
        self.state.requests.load(Ordering::SeqCst)
    }

    /// Fails, showing them, when requests beyond the first `known` reached the
    /// server.
    pub fn assert_untouched_since(&self, known: u64) -> Result<()> {
        if self.requests() != known {
            bail!(
                "{} requests instead of {known} reached the server: {:?}",
                self.requests(),
                self.received()
            );
        }
        Ok(())
    }

    /// The latest requests, oldest first.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.state.received).iter().cloned().collect()
    }

    /// How many of the latest requests were for this JSON-RPC method.
    pub fn received_of(&self, method: &str) -> usize {
        lock(&self.state.received).iter().filter(|one| one.method.as_deref() == Some(method)).count()
    }

    /// Sessions that were opened and not ended.
    pub fn sessions(&self) -> usize {
        lock(&self.state.sessions).len()
    }

    /// Waits until `count` answers are being kept back at the same time.
    pub async fn until_held(&self, count: usize) -> Result<()> {
        let mut held = self.state.held.subscribe();
        tokio::time::timeout(crate::http::LIMIT, held.wait_for(|now| *now >= count)).await??;
        Ok(())
    }

    /// Lets everything go that is kept back, now and from now on.
    pub fn release(&self) {
        self.state.released.send_replace(true);
    }

    /// Gives the server another number of tools, and tells who listens.
    pub fn change_tools(&self, tools: usize) {
        self.state.tools.store(tools, Ordering::SeqCst);
        self.announce("notifications/tools/list_changed");
    }

    /// Sends a notification without parameters to everyone who listens.
    pub fn announce(&self, method: &str) {
        // Nobody listening is as good as everyone knowing.
        drop(self.state.announcements.send(method.to_owned()));
    }

    /// Forgets all sessions, as a server does that was started anew.
    pub fn forget_sessions(&self) {
        lock(&self.state.sessions).clear();
    }
}

impl Drop for ScriptedServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl State {
    fn record(&self, received: Received) {
        self.requests.fetch_add(1, Ordering::SeqCst);
        let mut all = lock(&self.received);
        if all.len() == KEPT {
            all.pop_front();
        }
        all.push_back(received);
    }

    /// Comes back when the answer to `method` may go.
    async fn hold(&self, method: &str) {
        let holds = match self.script.holds {
            Holds::Nothing => false,
            Holds::Calls => method == "tools/call",
            Holds::Lists => method.ends_with("/list"),
            Holds::Everything => true,
        };
        if !holds {
            return;
        }
        self.held.send_modify(|held| *held += 1);
        let guard = Held(&self.held);
        let mut released = self.released.subscribe();
        // The sender lives as long as this state: there is always an answer in the end.
        drop(released.wait_for(|released| *released).await);
        drop(guard);
    }
}

/// One answer kept back; counted down also when the asker goes away.
struct Held<'a>(&'a watch::Sender<usize>);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|held| *held -= 1);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
