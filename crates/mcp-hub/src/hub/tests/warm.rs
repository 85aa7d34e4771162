//! What a caller is shown before their own server instance has answered.

use bytes::Bytes;
use futures_util::FutureExt as _;
use trunkline_model::{Clock as _, Endpoint, Identity, Instances, ServerAuth};

use super::*;
use crate::catalog::cell::ListCell;
use crate::catalog::lists::ServerLists;
use crate::catalog::view::View;
use crate::hub::fixture::child;
use crate::upstream::Offer;
use crate::upstream::stdio::fixture::shell;
use crate::upstream::{Era, Greeting};

/// A scripted server whose lists grow and fall silent on demand.
struct Stage {
    tools: Arc<AtomicUsize>,
    silent: Arc<AtomicBool>,
    server: Scripted,
    bench: Bench,
}

impl Stage {
    async fn new() -> Self {
        Self::with(|spec| spec).await
    }

    async fn with(change: impl FnOnce(ServerSpec) -> ServerSpec) -> Self {
        let (tools, silent) = (Arc::new(AtomicUsize::new(1)), Arc::new(AtomicBool::new(false)));
        let server = server(&tools, "tools/list", &silent).await;
        let bench = Bench::new(vec![change(spec(&server))]).await;
        Self { tools, silent, server, bench }
    }

    /// The hub's own lists, once it has asked for them.
    async fn warmed(&self) -> Arc<ListCell> {
        self.bench.hub.warm();
        let hubs = self.cell_of(&Identity::hub());
        hubs.settled(PATIENCE).await;
        assert!(hubs.has_lists());
        hubs
    }

    fn cell_of(&self, identity: &Identity) -> Arc<ListCell> {
        let key = self
            .bench
            .hub
            .upstreams
            .key(&name("scripted"), identity.clone(), None, &Offer::default())
            .unwrap();
        self.bench.hub.catalog.cell(&key)
    }

    async fn view_of(&self, caller: &Caller) -> Arc<View> {
        self.bench.hub.listed_view(&self.bench.request(caller, "tools/list", "{}")).await
    }
}

fn some_lists() -> ServerLists {
    ServerLists::empty(Arc::new(Greeting {
        era: Era::Legacy,
        protocol_version: "2025-06-18".to_owned(),
        capabilities: Bytes::from_static(b"{}"),
        server_info: None,
        instructions: None,
    }))
}

#[tokio::test]
async fn the_first_list_of_a_caller_does_not_wait() {
    let stage = Stage::new().await;
    stage.warmed().await;
    stage.silent.store(true, Ordering::SeqCst);
    for number in 1..=2 {
        let view = stage.view_of(&caller(number)).now_or_never().expect("at once");
        assert_eq!((view.tools().count(), view.gaps.len()), (1, 0));
    }
}

#[tokio::test]
async fn a_caller_whose_own_list_differs_is_told_and_the_hub_asks_again() {
    let stage = Stage::new().await;
    let hubs = stage.warmed().await;
    stage.bench.clock.advance(Duration::from_mins(11));
    stage.tools.store(2, Ordering::SeqCst);
    let caller = caller(1);
    let subscriber = listen(&stage.bench, &caller);
    assert_eq!(stage.view_of(&caller).await.tools().count(), 1);
    let reader = subscriber.take_over();
    let due = timeout(PATIENCE, subscriber.next(reader)).await.expect("it is told");
    assert_eq!(due, Due::ListChanged(ListKind::Tools));
    assert_eq!(stage.view_of(&caller).await.tools().count(), 2);
    hubs.settled(PATIENCE).await;
    assert_eq!(hubs.state().lists.expect("lists").tools.len(), 2);
}

#[tokio::test]
async fn whoever_waits_already_is_shown_what_the_hub_was_told() {
    let stage = Stage::new().await;
    let waiting = stage.cell_of(caller(1).identity());
    // What a list is served from when its server takes too long.
    let served = stage.bench.hub.view_cell(&stage.bench.request(&caller(1), "tools/list", "{}")).current();
    assert_eq!(served.tools().count(), 0);
    waiting.note_missed();
    let subscriber = listen(&stage.bench, &caller(1));
    stage.warmed().await;
    waiting.first_answer(PATIENCE).await;
    assert!(waiting.has_lists() && waiting.state().seeded);
    let reader = subscriber.take_over();
    timeout(PATIENCE, subscriber.next(reader)).await.expect("a list without it was served");
}

#[tokio::test]
async fn nobody_is_shown_the_lists_of_another_caller() {
    let stage = Stage::new().await;
    let (one, other) = (stage.cell_of(caller(1).identity()), stage.cell_of(caller(2).identity()));
    one.put(Arc::new(some_lists()), false, stage.bench.clock.now());
    stage.bench.hub.catalog.sweep();
    assert!(one.has_lists() && !other.has_lists());
    assert!(!stage.cell_of(caller(3).identity()).has_lists());
}

#[tokio::test]
async fn a_credential_of_each_caller_means_lists_of_each_caller() {
    let mut stage = Stage::with(|mut spec| {
        let Endpoint::Http(endpoint) = &mut spec.endpoint else { panic!("a URL") };
        endpoint.auth = ServerAuth::OAuth(Box::default());
        spec
    })
    .await;
    let hubs = stage.cell_of(&Identity::hub());
    hubs.put(Arc::new(some_lists()), false, stage.bench.clock.now());
    assert!(!stage.cell_of(caller(1).identity()).has_lists());
    stage.bench.hub.warm();
    stage.bench.hub.tools_of("team").await;
    assert_eq!(stage.server.so_far(), [""; 0]);
}

#[tokio::test]
async fn what_the_hub_was_told_outlasts_the_night() {
    let stage = Stage::new().await;
    stage.warmed().await;
    stage.view_of(&caller(1)).await;
    for _ in 0..40 {
        stage.bench.clock.advance(Duration::from_mins(20));
        stage.bench.hub.sweep_views();
        stage.bench.hub.catalog.sweep();
    }
    stage.silent.store(true, Ordering::SeqCst);
    let view = stage.view_of(&caller(1)).now_or_never().expect("at once");
    assert_eq!(view.tools().count(), 1);
}

#[tokio::test]
async fn the_hub_and_the_first_caller_start_one_child() {
    for warm in [true, false] {
        let bench = Bench::new(vec![child("shell", shell())]).await;
        if warm {
            bench.hub.warm();
        }
        for number in 1..=2_usize {
            let caller = caller(number as u128);
            bench.hub.listed_view(&bench.request(&caller, "tools/list", "{}")).await;
            bench.hub.catalog.cell(&bench.key("shell", &caller)).settled(PATIENCE).await;
            let starts = bench.hub.upstreams().logs(&name("shell")).unwrap();
            let starts = starts.iter().filter(|line| line.text.starts_with("started ")).count();
            assert_eq!(starts, number, "warm: {warm}");
        }
        bench.hub.stop().await;
    }
}

#[tokio::test]
async fn each_kind_of_client_has_lists_of_its_own() {
    let bench = Bench::new(vec![child("shell", shell())]).await;
    bench.hub.catalog.warm(&name("shell"), PATIENCE).await;
    let offer = Offer::new(r#"{"elicitation":{}}"#);
    let cell_of = |number| {
        let identity = caller(number).identity().clone();
        bench.hub.catalog.cell(&bench.hub.upstreams.key(&name("shell"), identity, None, &offer).unwrap())
    };
    let first = cell_of(1);
    assert!(!first.has_lists(), "what others are told may be less");
    bench.hub.catalog.refresh(&first);
    first.settled(PATIENCE).await;
    assert!(first.has_lists());
    assert!(cell_of(2).has_lists(), "of the same kind");
    assert_eq!(bench.hub.upstreams().states()[0].instances, 2, "the hub's first, and the caller's");
    bench.hub.stop().await;
}

#[tokio::test]
async fn a_shared_child_is_asked_once_for_everybody() {
    let spec = ServerSpec { instances: Instances::Shared, ..child("shell", shell()) };
    let bench = Bench::new(vec![spec]).await;
    bench.hub.warm();
    let shared = bench.hub.catalog.cell(&bench.key("shell", &caller(1)));
    shared.settled(PATIENCE).await;
    assert!(shared.is_fresh() && !shared.state().seeded);
    assert_eq!(bench.hub.upstreams().states()[0].instances, 1);
    bench.hub.stop().await;
}
