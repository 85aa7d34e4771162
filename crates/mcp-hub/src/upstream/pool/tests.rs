mod sessions;

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::timeout;
use trunkline_model::{Caller, Command, Endpoint, EraPin, Principal, ProfileName, SystemClock, Timestamp};

use super::*;
use crate::upstream::stdio::fixture::{
    PATIENCE, all_of, command, is_running, limits, python, request, shell, value,
};
use crate::upstream::stdio::{LogSource, StdioConnection};
use crate::upstream::{Connection, Era, Exchange};

struct Bench {
    pool: Arc<Upstreams>,
    events: mpsc::Receiver<(InstanceKey, ServerEvent)>,
}

impl Bench {
    fn new(spec: ServerSpec) -> Self {
        Self::with(spec, limits())
    }

    fn with(spec: ServerSpec, limits: Limits) -> Self {
        // An error means that another test was faster.
        drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
        let (sender, events) = mpsc::channel(100);
        let path = std::env::var_os("PATH").unwrap();
        let pool = Upstreams::new(Parts {
            connections: None,
            clock: Arc::new(SystemClock),
            egress: Egress::upstream().unwrap(),
            limits,
            base_environment: Arc::from([(OsString::from("PATH"), path)]),
            events: sender,
        });
        pool.apply(vec![spec]);
        Self { pool, events }
    }

    async fn lease(&self) -> Result<Lease, UpstreamError> {
        timeout(PATIENCE, self.pool.connection(&key())).await.expect("an answer")
    }

    async fn closed(&mut self) -> String {
        loop {
            let (_, event) = timeout(PATIENCE, self.events.recv()).await.expect("an event").unwrap();
            if let ServerEvent::Closed { reason } = event {
                return reason;
            }
        }
    }

    fn notes(&self, start: &str) -> usize {
        let lines = self.pool.logs(&name()).unwrap();
        lines.iter().filter(|line| line.source == LogSource::Hub && line.text.starts_with(start)).count()
    }

    fn starts(&self) -> usize {
        self.notes("started ")
    }

    fn state(&self) -> ServerState {
        self.pool.states().remove(0)
    }
}

fn name() -> ServerName {
    ServerName::new("fixture").unwrap()
}

fn key() -> InstanceKey {
    InstanceKey { server: name(), scope: Scope::Everybody }
}

fn spec(command: Command, era: EraPin) -> ServerSpec {
    ServerSpec {
        name: name(),
        endpoint: Endpoint::Stdio(command),
        era,
        instances: Instances::Shared,
        idle_timeout: Duration::from_mins(10),
        call_timeout: Duration::from_mins(1),
    }
}

fn legacy() -> ServerSpec {
    spec(python("legacy"), EraPin::Legacy)
}

#[expect(clippy::disallowed_methods, reason = "two callers to keep apart")]
fn identity(profile: &str) -> Identity {
    Caller::authenticated(Principal::Anonymous, ProfileName::new(profile).unwrap()).identity().clone()
}

fn stdio(lease: &Lease) -> &StdioConnection {
    let Connection::Stdio(connection) = &**lease else { panic!("a child") };
    connection
}

/// As [`Lease::call`], for tests, which have no guard.
async fn call(lease: &Lease, method: &str) -> Result<Exchange, UpstreamError> {
    lease.noted(stdio(lease).exchange(request(method, &json!({}))).await)
}

async fn ask(lease: &Lease, method: &str) -> Result<Value, UpstreamError> {
    let (_, answer) = all_of(call(lease, method).await?).await;
    answer.map(|answer| value(&answer))
}

async fn process_of(lease: &Lease) -> u64 {
    ask(lease, "test/process").await.unwrap()["id"].as_u64().unwrap()
}

#[tokio::test]
async fn fifty_callers_at_once_start_one_child() {
    let bench = Bench::new(legacy());
    assert_eq!(bench.state().state, State::Idle);
    let leases = join_all((0..50).map(|_| bench.lease())).await;
    let processes = join_all(leases.iter().map(|lease| process_of(lease.as_ref().unwrap()))).await;
    assert!(processes.iter().all(|process| *process == processes[0]));
    assert_eq!(bench.starts(), 1);
    let state = bench.state();
    assert_eq!((state.state, state.instances, state.kind), (State::Ready, 1, EndpointKind::Stdio));
    assert!(state.target.starts_with("python3 -I -S -c"));
    assert!(state.last_exchange.is_some_and(|at| at >= state.since));
}

#[tokio::test]
async fn a_start_goes_on_when_the_caller_who_caused_it_leaves() {
    let bench = Bench::new(legacy());
    let key = key();
    let mut leaving = Box::pin(bench.pool.connection(&key));
    assert!(futures_util::poll!(leaving.as_mut()).is_pending());
    drop(leaving);
    bench.lease().await.unwrap();
    assert_eq!(bench.starts(), 1);
}

#[tokio::test]
async fn a_child_killed_during_a_call_is_back_on_the_next() {
    let mut bench = Bench::new(legacy());
    for cycle in 1..=3 {
        let lease = bench.lease().await.unwrap();
        let process = process_of(&lease).await;
        let (hanging, exit) = tokio::join!(call(&lease, "test/hang"), call(&lease, "test/exit"));
        for error in [hanging.unwrap_err(), exit.unwrap_err()] {
            assert!(matches!(&error, UpstreamError::Closed { reason } if reason.contains("exit status: 3")));
        }
        assert!(matches!(&bench.state().state, State::Failing { why } if why.contains("out of cheese")));
        let next = bench.lease().await.unwrap();
        assert_ne!(process_of(&next).await, process);
        assert_eq!(bench.state().state, State::Ready);
        assert_eq!(bench.starts(), cycle + 1);
        assert!(bench.closed().await.contains("exit status: 3"));
    }
}

#[tokio::test]
async fn a_child_that_ends_while_nobody_looks_leaves_at_once() {
    let mut bench = Bench::new(legacy());
    let lease = bench.lease().await.unwrap();
    drop(call(&lease, "test/exit").await.unwrap_err());
    drop(lease);
    bench.closed().await;
    let state = bench.state();
    assert_eq!(state.instances, 0);
    assert!(matches!(state.state, State::Failing { .. }));
}

#[tokio::test]
async fn a_child_nobody_uses_stops_and_comes_back() {
    let mut bench = Bench::new(ServerSpec { idle_timeout: Duration::from_millis(20), ..legacy() });
    let lease = bench.lease().await.unwrap();
    let process = process_of(&lease).await;
    drop(lease);
    assert!(bench.closed().await.contains("idle"));
    assert!(!is_running(process));
    assert_eq!(bench.state().instances, 0);
    assert_eq!(bench.state().state, State::Idle);
    let again = bench.lease().await.unwrap();
    assert_ne!(process_of(&again).await, process);
}

#[tokio::test]
async fn a_child_somebody_uses_is_not_idle() {
    let bench = Bench::new(ServerSpec { idle_timeout: Duration::ZERO, ..legacy() });
    let lease = bench.lease().await.unwrap();
    let second = bench.lease().await.unwrap();
    let instance = Arc::clone(&lease.instance);
    let server = Arc::clone(&lease.place.server);
    drop(lease);
    assert!(!server.take_out_idle(&instance), "the second lease holds it");
    drop(second);
    // Its own watch may have been faster.
    assert!(server.take_out_idle(&instance) || server.state().instances == 0);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_cannot_start_is_left_alone_for_a_while() {
    let bench = Bench::new(spec(command("/nonexistent/program", &[]), EraPin::Auto));
    let attempts = || bench.notes("cannot start ");
    let attempt = async || {
        let error = bench.lease().await.unwrap_err();
        assert!(
            matches!(&error, UpstreamError::Unreachable { reason, .. } if reason.contains("/nonexistent/program"))
        );
        attempts()
    };
    assert_eq!(attempt().await, 1);
    assert_eq!(attempt().await, 1, "within 0.5 s");
    tokio::time::advance(Duration::from_millis(501)).await;
    assert_eq!(attempt().await, 2);
    tokio::time::advance(Duration::from_millis(501)).await;
    assert_eq!(attempt().await, 2, "within 1 s");
    tokio::time::advance(Duration::from_millis(501)).await;
    assert_eq!(attempt().await, 3);
    let state = bench.state();
    assert!(matches!(state.state, State::Failing { why } if why.contains("/nonexistent/program")));
}

#[tokio::test]
async fn a_child_that_ends_before_it_ever_answers_is_restarted_once_then_left_alone() {
    let mut bench = Bench::new(legacy());
    for _ in 0..2 {
        let lease = bench.lease().await.unwrap();
        drop(call(&lease, "test/exit").await.unwrap_err());
        bench.closed().await;
    }
    assert_eq!(bench.starts(), 2);
    let error = bench.lease().await.unwrap_err();
    assert!(
        matches!(&error, UpstreamError::Unreachable { reason, .. } if reason.contains("out of cheese")),
        "{error}"
    );
    assert_eq!(bench.starts(), 2);
}

#[tokio::test]
async fn the_era_found_is_remembered() {
    let bench = Bench::new(spec(python("legacy"), EraPin::Auto));
    let lease = bench.lease().await.unwrap();
    assert_eq!(ask(&lease, "test/process").await.unwrap()["first"], "server/discover");
    drop(call(&lease, "test/exit").await.unwrap_err());
    drop(lease);
    let lease = bench.lease().await.unwrap();
    assert_eq!(ask(&lease, "test/process").await.unwrap()["first"], "initialize");
    assert_eq!(lease.greeting().era, Era::Legacy);
}

#[tokio::test]
async fn a_server_that_changed_its_era_is_asked_again() {
    let bench = Bench::new(spec(python("modern"), EraPin::Auto));
    let lease = bench.lease().await.unwrap();
    // As if it had been an older release until now.
    lease.place.server.era.store(2, std::sync::atomic::Ordering::Relaxed);
    drop(call(&lease, "test/exit").await.unwrap_err());
    drop(lease);
    let lease = bench.lease().await.unwrap();
    assert_eq!(lease.greeting().era, Era::Modern);
}

#[tokio::test]
async fn a_start_that_takes_too_long_is_given_up() {
    let limits = Limits { start_timeout: Duration::from_millis(50), ..limits() };
    let mut bench = Bench::with(spec(command("sleep", &["600"]), EraPin::Auto), limits);
    let error = bench.lease().await.unwrap_err();
    assert!(
        matches!(&error, UpstreamError::Handshake { reason, .. } if reason.contains("ready within")),
        "{error}"
    );
    bench.closed().await;
}

#[tokio::test]
async fn one_server_cannot_take_more_than_its_places() {
    let limits = Limits { in_flight: 2, instances: 1, ..limits() };
    let bench =
        Bench::with(ServerSpec { instances: Instances::PerUser, ..spec(shell(), EraPin::Legacy) }, limits);
    let first = bench.lease().await.unwrap();
    let _second = bench.lease().await.unwrap();
    assert!(matches!(bench.lease().await, Err(UpstreamError::Busy { limit: 2 })));
    drop(first);
    bench.lease().await.unwrap();
    let other = bench.pool.key(&name(), identity("other"), None, &Offer::default()).unwrap();
    assert!(matches!(bench.pool.connection(&other).await, Err(UpstreamError::Busy { limit: 1 })));
}

#[tokio::test]
async fn the_scope_of_an_instance_is_what_the_server_says() {
    let session = Uuid::from_u128(7);
    let (one, two) = (identity("one"), identity("two"));
    for (instances, scope) in [
        (Instances::Shared, Scope::Everybody),
        (Instances::PerUser, Scope::Identity(one.clone(), Offer::default())),
        (Instances::PerSession, Scope::Session(one.clone(), session, Offer::default())),
    ] {
        let bench = Bench::new(ServerSpec { instances, ..spec(shell(), EraPin::Legacy) });
        assert_eq!(
            bench.pool.key(&name(), one.clone(), Some(session), &Offer::default()).unwrap().scope,
            scope
        );
    }
    let bench = Bench::new(ServerSpec { instances: Instances::PerUser, ..legacy() });
    let lease_of = async |who: &Identity| {
        let key = bench.pool.key(&name(), who.clone(), None, &Offer::default()).unwrap();
        bench.pool.connection(&key).await.unwrap()
    };
    let (first, second) = (lease_of(&one).await, lease_of(&two).await);
    assert_ne!(process_of(&first).await, process_of(&second).await);
    assert!(bench.pool.key(&ServerName::new("other").unwrap(), one, None, &Offer::default()).is_none());
}

#[tokio::test]
async fn the_hubs_own_child_goes_to_the_first_caller_alone() {
    let mut bench = Bench::new(ServerSpec { instances: Instances::PerUser, ..legacy() });
    let key_of = |who: Identity| bench.pool.key(&name(), who, None, &Offer::default()).unwrap();
    let (hubs, first, second) = (key_of(Identity::hub()), key_of(identity("one")), key_of(identity("two")));
    let own = bench.pool.connection(&hubs).await.unwrap();
    let process = process_of(&own).await;
    let while_in_use = bench.pool.connection(&second).await.unwrap();
    assert_ne!(process_of(&while_in_use).await, process, "the hub is still asking it");
    drop(own);
    let taken = bench.pool.connection(&first).await.unwrap();
    assert_eq!(process_of(&taken).await, process);
    assert_eq!((bench.starts(), bench.state().instances), (2, 2));
    let hubs_next = bench.pool.connection(&hubs).await.unwrap();
    assert_ne!(process_of(&hubs_next).await, process, "what a caller uses is not the hub's any more");

    ask(&taken, "test/changed").await.unwrap();
    let (key, event) = timeout(PATIENCE, bench.events.recv()).await.expect("an event").unwrap();
    assert!(matches!(event, ServerEvent::Notification(_)) && key == first, "{key:?} {event:?}");
    drop(call(&taken, "test/exit").await.unwrap_err());
    drop(taken);
    bench.closed().await;
    assert_eq!(bench.state().instances, 2, "the first caller's has left");
    bench.pool.connection(&first).await.unwrap();
}

#[tokio::test]
async fn a_child_that_was_handed_over_stops_when_nobody_uses_it() {
    let idle_timeout = Duration::from_secs(1);
    let mut bench = Bench::new(ServerSpec { instances: Instances::PerUser, idle_timeout, ..legacy() });
    for who in [Identity::hub(), identity("one")] {
        let key = bench.pool.key(&name(), who, None, &Offer::default()).unwrap();
        let lease = bench.pool.connection(&key).await.unwrap();
        process_of(&lease).await;
    }
    assert!(bench.closed().await.contains("idle"));
    assert_eq!((bench.starts(), bench.state().instances), (1, 0));
}

#[tokio::test]
async fn a_session_that_ends_takes_its_child_with_it() {
    let mut bench = Bench::new(ServerSpec { instances: Instances::PerSession, ..legacy() });
    let (ending, staying) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let lease_of = async |session: Uuid| {
        let key = bench.pool.key(&name(), identity("one"), Some(session), &Offer::default()).unwrap();
        let lease = bench.pool.connection(&key).await.unwrap();
        process_of(&lease).await
    };
    let (first, second) = (lease_of(ending).await, lease_of(staying).await);
    bench.pool.end_session(ending);
    assert!(bench.closed().await.contains("session"));
    assert!(!is_running(first) && is_running(second));
}

#[tokio::test]
async fn a_child_that_runs_a_task_stays_for_it() {
    let specification =
        ServerSpec { instances: Instances::PerSession, idle_timeout: Duration::from_millis(20), ..legacy() };
    let mut bench = Bench::new(specification);
    let session = Uuid::from_u128(1);
    let key = bench.pool.key(&name(), identity("one"), Some(session), &Offer::default()).unwrap();
    let lease = bench.pool.connection(&key).await.unwrap();
    let process = process_of(&lease).await;
    lease.keep_for(Duration::from_millis(400));
    drop(lease);
    bench.pool.end_session(session);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(is_running(process), "neither idle nor ended with its session");
    assert_eq!(process_of(&bench.pool.connection(&key).await.unwrap()).await, process);
    assert!(bench.closed().await.contains("idle"));
    assert!(!is_running(process));
}

#[tokio::test]
async fn a_change_of_configuration_touches_only_what_changed() {
    let mut bench = Bench::new(legacy());
    let lease = bench.lease().await.unwrap();
    let process = process_of(&lease).await;
    bench.pool.apply(vec![legacy()]);
    assert_eq!(process_of(&bench.lease().await.unwrap()).await, process, "nothing changed");
    let ServerSpec { endpoint: Endpoint::Stdio(mut changed), .. } = legacy() else { panic!("a child") };
    changed.args.push("more".to_owned());
    bench.pool.apply(vec![spec(changed, EraPin::Legacy)]);
    let new = bench.lease().await.unwrap();
    assert_ne!(process_of(&new).await, process);
    assert_eq!(process_of(&lease).await, process, "a request in flight goes on");
    drop(lease);
    assert!(bench.closed().await.contains("configuration"));
    assert!(!is_running(process));
    assert_eq!(bench.starts(), 2, "the log goes on");
    bench.pool.apply(Vec::new());
    assert!(matches!(bench.lease().await, Err(UpstreamError::Unreachable { .. })));
    assert!(bench.pool.states().is_empty());
}

#[tokio::test]
async fn stopping_all_reaps_every_child() {
    let bench =
        Bench::new(ServerSpec { instances: Instances::PerUser, ..spec(python("stubborn"), EraPin::Legacy) });
    let mut leases = Vec::new();
    for who in ["one", "two", "three"] {
        let key = bench.pool.key(&name(), identity(who), None, &Offer::default()).unwrap();
        leases.push(bench.pool.connection(&key).await.unwrap());
    }
    let processes = join_all(leases.iter().map(process_of)).await;
    timeout(PATIENCE, bench.pool.stop_all()).await.expect("it stops");
    assert!(processes.iter().all(|process| !is_running(*process)));
    assert!(bench.lease().await.is_err(), "nothing starts any more");
}

#[tokio::test]
async fn starts_beyond_their_bound_wait_their_turn() {
    let limits = Limits { starts: 1, ..limits() };
    let bench =
        Bench::with(ServerSpec { instances: Instances::PerUser, ..spec(shell(), EraPin::Legacy) }, limits);
    let keys: Vec<_> = (0..5)
        .map(|number| {
            bench.pool.key(&name(), identity(&format!("user{number}")), None, &Offer::default()).unwrap()
        })
        .collect();
    let leases = join_all(keys.iter().map(|key| bench.pool.connection(key))).await;
    assert!(leases.iter().all(Result::is_ok));
    assert_eq!(bench.starts(), 5);
    assert!(bench.state().last_exchange > Some(Timestamp::from_micros(0)));
}
