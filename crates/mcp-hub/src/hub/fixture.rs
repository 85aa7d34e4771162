//! A whole hub for tests, with a clock that stands still and servers that do
//! as they are told.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use trunkline_model::{
    Caller, Clock, Command, Endpoint, EraPin, HttpEndpoint, HttpTransport, Instances, KeyId, ManualClock,
    Principal, ProfileAuth, ProfileName, ProfileSpec, Selection, ServerAuth, ServerName, ServerSpec,
    Timestamp,
};
use trunkline_oauth::{People, Resource, Tokens};
use trunkline_profiles::{AuditLog, EffectiveProfile, Guard};
use trunkline_storage::Store;
use trunkline_web::{Egress, Tasks};
use uuid::Uuid;

use super::{Hub, HubConfig, Limits, Parts};
use crate::jsonrpc::Message;
use crate::method::Request;
use crate::upstream::{Era, InstanceKey, Offer};

const NOON: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
const PROFILE: &str = "team";

/// A hub whose one profile has every server.
pub(crate) struct Bench {
    pub(crate) hub: Arc<Hub>,
    pub(crate) clock: ManualClock,
    _directory: TempDir,
}

impl Bench {
    pub(crate) async fn new(servers: Vec<ServerSpec>) -> Self {
        Self::with(servers, crate::upstream::Limits::default()).await
    }

    pub(crate) async fn with(servers: Vec<ServerSpec>, upstream_limits: crate::upstream::Limits) -> Self {
        // An error means that another test was faster.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let directory = TempDir::new().unwrap();
        let manual = ManualClock::starting_at(NOON);
        let clock: Arc<dyn Clock> = Arc::new(manual.clone());
        let store = Store::open_in(directory.path(), Arc::clone(&clock)).await.unwrap();
        let journal = directory.path().join("journal");
        let audit = AuditLog::start(Arc::clone(&store), &journal, clock.as_ref()).await.unwrap();
        let hub = Hub::start(Parts {
            connections: None,
            guard: Arc::new(Guard::new(audit, Arc::clone(&clock))),
            resource: {
                let people = People::load(Arc::clone(&store), Arc::clone(&clock)).await.unwrap();
                let url = "http://localhost:7400".parse().unwrap();
                let tokens = Tokens::load(Arc::clone(&store), Arc::clone(&clock), &url).await.unwrap();
                Resource::load(Arc::clone(&store), people, tokens, Arc::clone(&clock)).await.unwrap()
            },
            session_sealer: store.vault().sealer("session").unwrap(),
            state_sealer: store.vault().sealer("state").unwrap(),
            clock,
            egress: Egress::upstream().unwrap(),
            limits: Limits::default(),
            upstream_limits,
            base_environment: std::env::var_os("PATH")
                .map(|path| ("PATH".into(), path))
                .into_iter()
                .collect(),
            base: trunkline_oauth::Base::fixed(&"http://localhost:7400".parse().unwrap()),
            tasks: Tasks::new(),
        });
        hub.apply(configuration(servers)).unwrap();
        Self { hub, clock: manual, _directory: directory }
    }

    pub(crate) fn profile(&self) -> Arc<EffectiveProfile> {
        self.hub.profile(PROFILE).unwrap()
    }

    /// Which instance of a server serves this caller.
    pub(crate) fn key(&self, server: &str, caller: &Caller) -> InstanceKey {
        self.hub.upstreams.key(&name(server), caller.identity().clone(), None, &Offer::default()).unwrap()
    }

    /// A request of a legacy client without a session.
    pub(crate) fn request(&self, caller: &Caller, method: &str, params: &str) -> Request {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        Request {
            hub: Arc::clone(&self.hub),
            profile: self.profile(),
            caller: caller.clone(),
            message: Message::parse(Bytes::from(text)).unwrap(),
            request_id: Uuid::from_u128(1),
            host: None,
            arrived: NOON,
            era: Era::Legacy,
            session: None,
            takes_stream: false,
            takes_gzip: false,
            param_headers: http::HeaderMap::new(),
            offer: std::sync::OnceLock::new(),
        }
    }
}

pub(crate) fn configuration(servers: Vec<ServerSpec>) -> HubConfig {
    let selected = servers.iter().map(|spec| (spec.name.clone(), Selection::default())).collect();
    let profile = ProfileSpec {
        name: ProfileName::new(PROFILE).unwrap(),
        auth: ProfileAuth::ApiKey,
        members: None,
        scopes: std::collections::BTreeMap::new(),
        servers: selected,
        models: Vec::new(),
    };
    HubConfig { servers, profiles: vec![profile] }
}

#[expect(clippy::disallowed_methods, reason = "these tests need callers, not credentials")]
pub(crate) fn caller(number: u128) -> Caller {
    let principal =
        Principal::Key { id: KeyId::from_uuid(Uuid::from_u128(number)), name: "key".into(), owner: None };
    Caller::authenticated(principal, ProfileName::new(PROFILE).unwrap())
}

pub(crate) fn name(server: &str) -> ServerName {
    ServerName::new(server).unwrap()
}

/// A server behind a URL.
pub(crate) fn at_url(server: &str, url: &str) -> ServerSpec {
    spec(
        server,
        Endpoint::Http(HttpEndpoint {
            url: url.to_owned(),
            transport: HttpTransport::StreamableHttp,
            headers: Vec::new(),
            auth: ServerAuth::None,
        }),
    )
}

/// A child process.
pub(crate) fn child(server: &str, command: Command) -> ServerSpec {
    ServerSpec { era: EraPin::Legacy, ..spec(server, Endpoint::Stdio(command)) }
}

fn spec(server: &str, endpoint: Endpoint) -> ServerSpec {
    ServerSpec {
        name: name(server),
        endpoint,
        era: EraPin::Auto,
        instances: Instances::PerUser,
        idle_timeout: Duration::from_mins(10),
        call_timeout: Duration::from_mins(1),
    }
}
