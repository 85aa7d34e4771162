//! The whole client against a scripted authorization server, with a clock
//! that tests move.

mod absent;
mod authority;
mod consent;
mod fortnight;
mod identity;
mod lies;
mod operators;
mod refresh;

use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tempfile::TempDir;
use trunkline_model::{
    Clock, ConnectionOwner, ConsentOf, Endpoint, EraPin, HttpEndpoint, HttpTransport, Instances, ManualClock,
    OAuthAuth, ServerAuth, ServerName, ServerSpec, Timestamp,
};
use trunkline_storage::Store;

use super::{Beginning, Connections, FlowError, Parts, Presence, Returned};
use authority::{Authority, SERVER};

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
const ANN: &str = "usr_ann";

/// A hub's client half with its database.
struct Bench {
    directory: TempDir,
    clock: ManualClock,
    authority: Arc<Authority>,
    store: Arc<Store>,
    connections: Arc<Connections>,
}

fn server() -> ServerName {
    ServerName::new("tracker").unwrap()
}

fn owner() -> ConnectionOwner {
    ConnectionOwner::named(ANN)
}

fn spec(url: &str, auth: ServerAuth) -> ServerSpec {
    ServerSpec {
        name: server(),
        endpoint: Endpoint::Http(HttpEndpoint {
            url: url.to_owned(),
            transport: HttpTransport::Auto,
            headers: Vec::new(),
            auth,
        }),
        era: EraPin::Auto,
        instances: Instances::PerUser,
        idle_timeout: Duration::from_mins(1),
        call_timeout: Duration::from_mins(1),
    }
}

fn per_user() -> ServerAuth {
    ServerAuth::OAuth(Box::new(OAuthAuth { per: ConsentOf::User, ..OAuthAuth::default() }))
}

async fn process(
    store: &Arc<Store>,
    clock: &ManualClock,
    authority: &Arc<Authority>,
    seed: u64,
) -> Arc<Connections> {
    process_with(store, clock, authority, seed, Arc::new(super::identity::NoSignIn)).await
}

async fn process_with(
    store: &Arc<Store>,
    clock: &ManualClock,
    authority: &Arc<Authority>,
    seed: u64,
    identities: Arc<dyn super::Identities>,
) -> Arc<Connections> {
    let parts = Parts {
        store: Arc::clone(store),
        clock: Arc::new(clock.clone()),
        transport: Arc::clone(authority) as Arc<dyn super::Transport>,
        presence: Presence::new(&"https://hub.example".parse().unwrap(), None, None),
        identities,
        holder: format!("process {seed}"),
        random: StdRng::seed_from_u64(seed),
    };
    let connections = Connections::load(parts).await.unwrap();
    connections.configure(&[spec(SERVER, per_user())]);
    connections
}

impl Bench {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = ManualClock::starting_at(NOW);
        let shared: Arc<dyn Clock> = Arc::new(clock.clone());
        let store = Store::open_in(directory.path(), shared).await.unwrap();
        let authority = Arc::new(Authority::new(clock.clone()));
        let connections = process(&store, &clock, &authority, 1).await;
        Self { directory, clock, authority, store, connections }
    }

    /// The process is killed, and another starts on what it left.
    async fn restart(&mut self) {
        self.store.close().await;
        let shared: Arc<dyn Clock> = Arc::new(self.clock.clone());
        self.store = Store::open_in(self.directory.path(), shared).await.unwrap();
        self.connections = process(&self.store, &self.clock, &self.authority, 2).await;
    }

    async fn begin(&self) -> Result<Beginning, FlowError> {
        self.connections.begin(&server(), owner(), Some(ANN.to_owned())).await
    }

    /// Ann connects the server.
    async fn connect(&self) -> Result<(), FlowError> {
        let beginning = self.begin().await?;
        let returned = Authority::consent(&beginning.authorization_url);
        self.complete(&beginning, returned).await
    }

    async fn complete(&self, beginning: &Beginning, returned: Returned) -> Result<(), FlowError> {
        let (name, value) = &beginning.cookie;
        let cookie = |asked: &str| (asked == name).then(|| value.clone());
        self.connections.complete(returned, cookie, Some(ANN)).await.map(drop)
    }

    fn credential(&self) -> super::Credential {
        let upstream = self.connections.upstream(&server()).unwrap();
        let held = self.connections.held(&server(), &owner());
        super::Credential { connections: Arc::clone(&self.connections), upstream, held }
    }

    /// What a request would carry; the reason when there is nothing.
    async fn token(&self) -> Result<String, super::Unusable> {
        let (header, _) = self.credential().obtain().await?;
        Ok(header.to_str().unwrap().to_owned())
    }

    fn state(&self) -> String {
        let shown = self.connections.list().into_iter().find(|shown| shown.owner == owner());
        shown.map_or("none".to_owned(), |shown| shown.state.to_owned())
    }

    fn reason(&self) -> String {
        let shown = self.connections.list().into_iter().find(|shown| shown.owner == owner());
        shown.and_then(|shown| shown.reason).unwrap_or_default()
    }
}
