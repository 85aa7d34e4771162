//! A hub without listeners: what it is made of.

mod taking;

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;
use trunkline_console::Admin;
use trunkline_mcp_hub::{Hub, Parts};
use trunkline_model::{Action, Clock, Decision, Reason, SystemClock};
use trunkline_oauth::absent::{Absent, Configured};
use trunkline_oauth::client::{self, Connections, Presence};
use trunkline_oauth::login::{Login, Sessions};
use trunkline_oauth::scim::Scim;
use trunkline_oauth::server::AuthorizationServer;
use trunkline_oauth::{Base, People, Resource, Tokens};
use trunkline_profiles::{AuditLog, Guard, RefusedRequest};
use trunkline_storage::Store;
use trunkline_web::{Egress, Outbound, Tasks};
use url::Url;
use uuid::Uuid;

use crate::asking::{Asking, HubProfiles};
use crate::config::Config;
use crate::{DataDir, absent, env};

pub(crate) use taking::Taking;
use taking::outbound_policy;

/// How long a stopping hub waits for its own tasks.
const LAST_WORDS: Duration = Duration::from_secs(10);

/// A hub without listeners, and what it stands on.
pub(crate) struct Core {
    pub(crate) hub: Arc<Hub>,
    /// What clients call the hub.
    pub(crate) base: Base,
    pub(crate) guard: Arc<Guard>,
    resource: Arc<Resource>,
    pub(crate) people: Arc<People>,
    sessions: Arc<Sessions>,
    pub(crate) login: Arc<Login>,
    tokens: Arc<Tokens>,
    pub(crate) connections: Arc<Connections>,
    outbound: Outbound,
    pub(crate) tasks: Tasks,
    audit: AuditLog,
    pub(crate) store: Arc<Store>,
    configured: watch::Sender<Configured>,
}

impl Core {
    /// Opens the database and starts the hub of `config`.
    ///
    /// # Errors
    /// What cannot be opened or read, with what to do about it.
    pub(crate) async fn start(config: &Config, data: &DataDir, public_url: Url) -> anyhow::Result<Self> {
        data.create().with_context(|| format!("cannot make the data directory {}", data.path().display()))?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Store::open(data.store_options(config), Arc::clone(&clock)).await?;
        let tasks = Tasks::new();
        let journal = data.audit_journal();
        let audit =
            AuditLog::start(Arc::clone(&store), &journal, clock.as_ref()).await.context("the audit trail")?;
        let outbound = Outbound::new(outbound_policy(config))?;
        let Asking { people, tokens, resource, sessions, login } =
            Asking::load(&store, &clock, &tasks, &outbound, config, &public_url).await?;
        let base = match &config.public_url {
            Some(url) => Base::fixed(url),
            None => Base::of_listener(&public_url),
        };
        let guard = Arc::new(Guard::new(audit.clone(), Arc::clone(&clock)));
        outbound.witnessed(record_refusal(Arc::clone(&guard), Arc::clone(&clock)));
        let connections = connections(config, &store, &clock, &outbound, &public_url, &login).await?;
        let hub = Hub::start(Parts {
            connections: Some(Arc::clone(&connections)),
            guard: Arc::clone(&guard),
            resource: Arc::clone(&resource),
            session_sealer: store.vault().sealer("mcp-session")?,
            state_sealer: store.vault().sealer("mcp-request-state")?,
            clock,
            egress: Egress::upstream()?,
            limits: trunkline_mcp_hub::Limits {
                request_bytes: usize::try_from(config.limits.request_bytes)?,
                ..Default::default()
            },
            upstream_limits: trunkline_mcp_hub::upstream::Limits {
                message_bytes: usize::try_from(config.limits.response_bytes)?,
                ..Default::default()
            },
            base_environment: base_environment(),
            base: base.clone(),
            tasks: tasks.clone(),
        });
        let core = Self {
            hub,
            base,
            guard,
            resource,
            people,
            sessions,
            login,
            tokens,
            connections,
            outbound,
            tasks,
            audit,
            store,
            configured: watch::Sender::default(),
        };
        core.taking(None).take(config)?;
        Ok(core)
    }

    /// What the admin API of the hub at `public_url` shows.
    pub(crate) fn admin(&self, public_url: String) -> Admin {
        Admin {
            base: self.base.clone(),
            hub: Arc::clone(&self.hub),
            resource: Arc::clone(&self.resource),
            people: Arc::clone(&self.people),
            sessions: Arc::clone(&self.sessions),
            connections: Arc::clone(&self.connections),
            guard: Arc::clone(&self.guard),
            audit: self.audit.clone(),
            store: Arc::clone(&self.store),
            clock: Arc::new(SystemClock),
            public_url,
        }
    }

    /// What a directory provisions through.
    pub(crate) fn scim(&self, public_url: &Url) -> Arc<Scim> {
        Arc::new(Scim {
            store: Arc::clone(&self.store),
            people: Arc::clone(&self.people),
            clock: Arc::new(SystemClock),
            public_url: public_url.clone(),
        })
    }

    /// From here on what the configuration no longer names ends after a day.
    pub(crate) fn end_what_is_absent(&self) {
        let absent = Absent {
            store: Arc::clone(&self.store),
            connections: Arc::clone(&self.connections),
            clock: Arc::new(SystemClock),
        };
        let following = absent::follow(absent, self.configured.subscribe(), Arc::clone(&self.guard));
        self.tasks.spawn_until_stop(following);
    }

    /// What takes over a configuration; `authorization` is none at the start,
    /// when it is made of the same one.
    pub(crate) fn taking(&self, authorization: Option<Arc<AuthorizationServer>>) -> Taking {
        Taking {
            hub: Arc::clone(&self.hub),
            connections: Arc::clone(&self.connections),
            login: Arc::clone(&self.login),
            outbound: self.outbound.clone(),
            configured: self.configured.clone(),
            authorization,
        }
    }

    /// Starts the authorization server of the hub at `public_url`.
    pub(crate) fn authorization_server(
        &self,
        config: &Config,
        public_url: Url,
    ) -> anyhow::Result<Arc<AuthorizationServer>> {
        Ok(AuthorizationServer::start(trunkline_oauth::server::Parts {
            store: Arc::clone(&self.store),
            people: Arc::clone(&self.people),
            sessions: Arc::clone(&self.sessions),
            tokens: Arc::clone(&self.tokens),
            profiles: Arc::new(HubProfiles(Arc::clone(&self.hub))),
            outbound: self.outbound.clone(),
            clock: Arc::new(SystemClock),
            tasks: self.tasks.clone(),
            public_url,
            base: self.base.clone(),
            settings: config.authorization.clone(),
        })?)
    }

    /// Ends children, then the hub's own work, then the trail, then the database.
    pub(crate) async fn stop(self) {
        self.hub.stop().await;
        if !self.tasks.stop(LAST_WORDS).await {
            tracing::warn!("some work did not end in time");
        }
        self.audit.close().await;
        self.store.close().await;
    }
}

/// The hub as an OAuth client of upstream servers.
async fn connections(
    config: &Config,
    store: &Arc<Store>,
    clock: &Arc<dyn Clock>,
    outbound: &Outbound,
    public_url: &Url,
    login: &Arc<Login>,
) -> anyhow::Result<Arc<Connections>> {
    let ours = &config.oauth_client;
    let parts = client::Parts {
        store: Arc::clone(store),
        clock: Arc::clone(clock),
        transport: Arc::new(outbound.clone()),
        presence: Presence::new(public_url, ours.metadata_url.as_ref(), ours.redirect_url.as_ref()),
        identities: Arc::clone(login) as Arc<dyn client::Identities>,
        holder: uuid::Uuid::now_v7().to_string(),
        random: rand::make_rng(),
    };
    Connections::load(parts).await.context("reading the connections")
}

/// Addresses that others named and the hub does not call, in the trail.
fn record_refusal(guard: Arc<Guard>, clock: Arc<dyn Clock>) -> impl Fn(&str, &str) + Send + Sync + 'static {
    move |origin, why| {
        let refused = RefusedRequest {
            request_id: Uuid::now_v7(),
            arrived: clock.now(),
            profile: None,
            caller: None,
            action: Action {
                method: "outbound".to_owned(),
                server: None,
                target: Some(origin.to_owned()),
                shown_as: None,
            },
            decision: Decision::deny(Reason::AddressNotOpen),
            detail: why.to_owned(),
            request_bytes: 0,
        };
        if let Err(error) = guard.refuse(refused) {
            tracing::error!(%error, origin, "a refusal could not be recorded");
        }
    }
}

/// What every child gets besides its declared environment: enough to find its
/// interpreter and its home, nothing else of ours.
fn base_environment() -> Arc<[(OsString, OsString)]> {
    env::FOR_CHILDREN
        .iter()
        .filter_map(|variable| Some((OsString::from(variable.name), variable.get_os()?)))
        .collect()
}
