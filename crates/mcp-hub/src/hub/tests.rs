//! What happens by itself, under a clock that tests move.

mod extensions;
mod links;
mod own_lists;
mod tasks;
mod warm;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::response::Response;
use tokio::sync::mpsc;
use tokio::time::timeout;
use trunkline_model::{Caller, ServerSpec};

use super::HubConfig;
use super::fixture::{Bench, at_url, caller, configuration, name};
use crate::catalog::ListKind;
use crate::catalog::cell::Phase;
use crate::downstream::subscriber::{Due, Subscriber};
use crate::upstream::http::scripted::{self, Asked, Scripted};
use crate::upstream::pool::State;
use crate::upstream::{Limits, UpstreamError};

/// Longer than anything that these tests do not wait for by intent.
const PATIENCE: Duration = Duration::from_secs(30);

/// A legacy server with `tools` tools that logs, and whose answers to
/// `silent` never come while `is_silent`.
async fn server(tools: &Arc<AtomicUsize>, silent: &'static str, is_silent: &Arc<AtomicBool>) -> Scripted {
    let (tools, is_silent) = (Arc::clone(tools), Arc::clone(is_silent));
    Scripted::start(move |asked| match asked.what() {
        "initialize" => greeting(asked),
        what if what == silent && is_silent.load(Ordering::SeqCst) => unanswered(),
        "tools/list" => scripted::result(asked, &tool_list(tools.load(Ordering::SeqCst))),
        _ => scripted::legacy(asked, |asked| scripted::result(asked, "{}")),
    })
    .await
}

fn greeting(asked: &Asked) -> Response {
    let capabilities = r#"{"tools":{"listChanged":true},"logging":{}}"#;
    let greeting = format!(
        r#"{{"protocolVersion":"2025-06-18","capabilities":{capabilities},"serverInfo":{{"name":"s"}}}}"#
    );
    scripted::result(asked, &greeting)
}

/// A stream that stays open and on which nothing comes.
fn unanswered() -> Response {
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move { sender.closed().await });
    scripted::open_events(receiver)
}

fn tool_list(count: usize) -> String {
    let tools: Vec<_> = (0..count).map(|number| format!(r#"{{"name":"tool_{number}"}}"#)).collect();
    format!(r#"{{"tools":[{}]}}"#, tools.join(","))
}

fn spec(server: &Scripted) -> ServerSpec {
    at_url("scripted", &server.url)
}

/// Lets `duration` pass at once, for whatever waits by the runtime's clock.
async fn pass(duration: Duration) {
    tokio::time::pause();
    tokio::time::sleep(duration).await;
    tokio::time::resume();
}

fn state_of(bench: &Bench) -> State {
    bench.hub.upstreams().states().remove(0).state
}

#[tokio::test]
async fn a_server_that_never_answers_a_list_is_given_up_and_asked_again() {
    let silent = Arc::new(AtomicBool::new(true));
    let mut server = server(&Arc::new(AtomicUsize::new(1)), "tools/list", &silent).await;
    let bench = Bench::new(vec![spec(&server)]).await;
    let cell = bench.hub.catalog.cell(&bench.key("scripted", &caller(1)));
    bench.hub.catalog.refresh(&cell);
    server.next("tools/list").await;
    pass(Duration::from_secs(119)).await;
    assert_eq!(cell.state().phase, Phase::Fetching);
    assert_eq!(state_of(&bench), State::Ready);
    pass(Duration::from_secs(2)).await;
    let Phase::Failed { why, .. } = cell.state().phase else { panic!("{:?}", cell.state()) };
    assert!(why.contains("did not answer within 120 s"), "{why}");
    assert_eq!(state_of(&bench), State::Failing { why }, "an operator sees it too");

    silent.store(false, Ordering::SeqCst);
    bench.hub.catalog.refresh(&cell);
    assert!(matches!(cell.state().phase, Phase::Failed { .. }), "not at once");
    bench.clock.advance(Duration::from_secs(6));
    bench.hub.catalog.refresh(&cell);
    server.next("tools/list").await;
    cell.settled(PATIENCE).await;
    assert_eq!(cell.state().lists.expect("a list").tools.len(), 1);
    assert_eq!(state_of(&bench), State::Ready);
}

#[tokio::test]
async fn a_log_level_that_is_never_accepted_gives_its_place_back() {
    let mut server =
        server(&Arc::new(AtomicUsize::new(1)), "logging/setLevel", &Arc::new(AtomicBool::new(true))).await;
    let limits = Limits { in_flight: 1, ..Limits::default() };
    let bench = Bench::with(vec![spec(&server)], limits).await;
    let caller = caller(1);
    let request = Arc::new(bench.request(&caller, "logging/setLevel", r#"{"level":"error"}"#));
    let key = bench.key("scripted", &caller);
    // Otherwise somebody who asks for lists may have the one place.
    bench.hub.catalog.warm(&name("scripted"), PATIENCE).await;
    bench.hub.listed_view(&request).await;
    bench.hub.catalog.cell(&key).settled(PATIENCE).await;
    let (_, session) = bench.hub.sessions.begin(&caller, "2025-06-18", None).unwrap();
    session.subscriber.set_log_level(5);
    bench.hub.spread_log_level(&request);
    server.next("logging/setLevel").await;
    let place = || bench.hub.upstreams.connection(&key);
    assert!(matches!(place().await, Err(UpstreamError::Busy { limit: 1 })), "the one place is taken");
    pass(Duration::from_secs(31)).await;
    place().await.expect("the place is free again");
}

fn listen(bench: &Bench, caller: &Caller) -> Arc<Subscriber> {
    let subscriber = Arc::new(Subscriber::new(caller.clone(), None, ListKind::ALL.to_vec()));
    bench.hub.subscribers.add(&subscriber);
    subscriber
}

#[tokio::test]
async fn a_client_that_only_listens_hears_of_changes_after_hours() {
    let tools = Arc::new(AtomicUsize::new(1));
    let server = server(&tools, "", &Arc::new(AtomicBool::new(false))).await;
    let bench = Bench::new(vec![spec(&server)]).await;
    let (listening, leaving) = (caller(1), caller(2));
    for caller in [&listening, &leaving] {
        bench.hub.listed_view(&bench.request(caller, "tools/list", "{}")).await;
    }
    let subscriber = listen(&bench, &listening);
    for _ in 0..8 {
        bench.clock.advance(Duration::from_mins(20));
        bench.hub.sweep_views();
        bench.hub.catalog.sweep();
    }
    assert_eq!(bench.hub.views().len(), 1, "nobody waits to hear of the other's");
    tools.store(2, Ordering::SeqCst);
    bench.hub.catalog.changed(&bench.key("scripted", &listening));
    let reader = subscriber.take_over();
    let due = timeout(PATIENCE, subscriber.next(reader)).await.expect("it is told");
    assert_eq!(due, Due::ListChanged(ListKind::Tools));
}

/// A listener of a profile that shows only `tool_0` of a server with more.
async fn listening_to_one_tool(tools: &Arc<AtomicUsize>) -> (Scripted, Bench, Arc<Subscriber>, HubConfig) {
    let server = server(tools, "", &Arc::new(AtomicBool::new(false))).await;
    let bench = Bench::new(vec![spec(&server)]).await;
    let mut config = configuration(vec![spec(&server)]);
    for selection in config.profiles[0].servers.values_mut() {
        selection.tools.include = Some(vec!["tool_0".to_owned()]);
    }
    bench.hub.apply(config.clone()).unwrap();
    bench.hub.listed_view(&bench.request(&caller(1), "tools/list", "{}")).await;
    bench.hub.catalog.cell(&bench.key("scripted", &caller(1))).settled(PATIENCE).await;
    let subscriber = listen(&bench, &caller(1));
    // Hears of the configuration, and perhaps of what was listed under it.
    others_had_their_turn().await;
    while timeout(Duration::ZERO, subscriber.next(subscriber.take_over())).await.is_ok() {}
    (server, bench, subscriber, config)
}

async fn others_had_their_turn() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

async fn hears_nothing(subscriber: &Subscriber) {
    others_had_their_turn().await;
    assert!(timeout(Duration::ZERO, subscriber.next(subscriber.take_over())).await.is_err());
}

async fn hears_of_tools(subscriber: &Subscriber) {
    let due = timeout(PATIENCE, subscriber.next(subscriber.take_over())).await.expect("it is told");
    assert_eq!(due, Due::ListChanged(ListKind::Tools));
    hears_nothing(subscriber).await;
}

#[tokio::test]
async fn a_change_of_what_is_not_shown_is_not_told() {
    let tools = Arc::new(AtomicUsize::new(1));
    let (_server, bench, subscriber, _) = listening_to_one_tool(&tools).await;
    let key = bench.key("scripted", &caller(1));
    for (count, shown) in [(3, 1), (0, 0)] {
        tools.store(count, Ordering::SeqCst);
        bench.hub.catalog.changed(&key);
        bench.hub.catalog.cell(&key).settled(PATIENCE).await;
        let view = bench.hub.view_now(&bench.request(&caller(1), "tools/list", "{}"));
        assert_eq!(view.tools().count(), shown);
        if shown == 1 {
            hears_nothing(&subscriber).await;
        }
    }
    hears_of_tools(&subscriber).await;
}

#[tokio::test]
async fn a_new_configuration_is_told_to_whom_it_shows_something_else() {
    let tools = Arc::new(AtomicUsize::new(3));
    let (_server, bench, subscriber, config) = listening_to_one_tool(&tools).await;
    bench.hub.apply(config.clone()).unwrap();
    hears_nothing(&subscriber).await;
    let mut wider = config;
    for selection in wider.profiles[0].servers.values_mut() {
        selection.tools.include = Some(vec!["tool_*".to_owned()]);
    }
    bench.hub.apply(wider).unwrap();
    hears_of_tools(&subscriber).await;
}
