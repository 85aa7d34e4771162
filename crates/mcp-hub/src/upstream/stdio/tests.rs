use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::time::timeout;
use trunkline_model::{Secret, ServerName, SystemClock};

use super::fixture::{
    PATIENCE, all_of, ask, command, gone, is_running, limits, python, request, shell, value,
};
use super::*;
use crate::upstream::{Era, InstanceKey, Scope, ServerEvent};

struct Bench {
    launch: Launch,
    events: mpsc::Receiver<(InstanceKey, ServerEvent)>,
}

impl Bench {
    fn new(command: Command, era: EraPin) -> Self {
        let (sender, events) = mpsc::channel(100);
        let limits = limits();
        let path = std::env::var_os("PATH").unwrap();
        let launch = Launch {
            owner: Owner::new(InstanceKey {
                server: ServerName::new("fixture").unwrap(),
                scope: Scope::Everybody,
            }),
            command,
            base_environment: Arc::from([(OsString::from("PATH"), path)]),
            era,
            events: sender,
            log: Arc::new(LogRing::new(Arc::new(SystemClock), limits.log_lines, limits.log_bytes)),
            limits,
            tasks: Tasks::new(),
        };
        Self { launch, events }
    }

    async fn start(&self) -> Result<StdioConnection, UpstreamError> {
        timeout(PATIENCE, start(&self.launch)).await.expect("a start ends")
    }

    async fn event(&mut self) -> ServerEvent {
        timeout(PATIENCE, self.events.recv()).await.expect("an event").unwrap().1
    }

    /// How often a child was started.
    fn starts(&self) -> usize {
        let lines = self.launch.log.lines();
        lines.iter().filter(|line| line.source == LogSource::Hub && line.text.starts_with("started ")).count()
    }

    fn log_of(&self, source: LogSource) -> Vec<String> {
        let lines = self.launch.log.lines().into_iter();
        lines.filter(|line| line.source == source).map(|line| line.text).collect()
    }
}

async fn legacy() -> (Bench, StdioConnection) {
    let bench = Bench::new(python("legacy"), EraPin::Legacy);
    let connection = bench.start().await.unwrap();
    (bench, connection)
}

#[tokio::test]
async fn a_legacy_server_is_found_on_its_first_process() {
    let bench = Bench::new(python("legacy"), EraPin::Auto);
    let connection = bench.start().await.unwrap();
    let greeting = connection.greeting();
    assert_eq!((greeting.era, greeting.protocol_version.as_str()), (Era::Legacy, "2025-06-18"));
    assert_eq!(greeting.capabilities, r#"{"tools":{}}"#);
    assert_eq!(greeting.server_info.as_deref(), Some(&br#"{"name":"fixture","version":"1"}"#[..]));
    assert_eq!(greeting.instructions.as_deref(), Some(&br#""be kind""#[..]));
    assert_eq!(bench.starts(), 1);
    assert_eq!(ask(&connection, "test/echo", json!({ "a": 1 })).await.unwrap(), json!({ "a": 1 }));
}

#[tokio::test]
async fn a_modern_server_is_found_on_its_first_process() {
    let bench = Bench::new(python("modern"), EraPin::Auto);
    let connection = bench.start().await.unwrap();
    let greeting = connection.greeting();
    assert_eq!((greeting.era, greeting.protocol_version.as_str()), (Era::Modern, "2026-07-28"));
    assert_eq!(greeting.server_info.as_deref(), Some(&br#"{"name":"fixture","version":"1"}"#[..]));
    assert_eq!(bench.starts(), 1);
}

#[tokio::test]
async fn changes_that_a_modern_server_announces_reach_the_events() {
    let mut bench = Bench::new(python("modern"), EraPin::Auto);
    let _connection = bench.start().await.unwrap();
    let ServerEvent::Notification(changed) = bench.event().await else { panic!("a notification") };
    assert_eq!(changed.method(), Some("notifications/tools/list_changed"));
}

#[tokio::test]
async fn an_error_without_an_id_answers_the_only_question() {
    let bench = Bench::new(python("nameless"), EraPin::Auto);
    assert_eq!(bench.start().await.unwrap().greeting().era, Era::Legacy);
    assert_eq!(bench.starts(), 1);
}

#[tokio::test]
async fn what_a_discover_spoiled_is_started_afresh() {
    for mode in ["locking", "dies", "deaf"] {
        let mut bench = Bench::new(python(mode), EraPin::Auto);
        bench.launch.limits.discover_timeout = std::time::Duration::from_millis(300);
        let connection = bench.start().await.unwrap();
        assert_eq!(connection.greeting().era, Era::Legacy, "{mode}");
        assert_eq!(bench.starts(), 2, "{mode}");
        let process = ask(&connection, "test/process", json!({})).await.unwrap();
        assert_eq!(process["first"], "initialize", "{mode}");
    }
}

#[tokio::test]
async fn a_pinned_era_is_not_looked_for() {
    let wrong = Bench::new(python("modern"), EraPin::Legacy);
    let error = wrong.start().await.unwrap_err();
    assert!(
        matches!(&error, UpstreamError::Handshake { reason, .. } if reason.contains("-32022")),
        "{error}"
    );
    assert_eq!(wrong.starts(), 1);
    let wrong = Bench::new(python("legacy"), EraPin::Modern);
    assert!(matches!(wrong.start().await.unwrap_err(), UpstreamError::Handshake { .. }));
    let unknown = Bench::new(python("future"), EraPin::Auto);
    let error = unknown.start().await.unwrap_err();
    assert!(
        matches!(&error, UpstreamError::Handshake { reason, .. } if reason.contains("2031-01-01")),
        "{error}"
    );
}

#[tokio::test]
async fn a_program_that_is_absent_or_no_server_fails_fast_with_its_words() {
    let absent = Bench::new(command("/nonexistent/program", &[]), EraPin::Auto);
    let error = absent.start().await.unwrap_err();
    assert!(
        matches!(&error, UpstreamError::Unreachable { reason, .. } if reason.contains("/nonexistent/program"))
    );
    let mut nowhere = Bench::new(shell(), EraPin::Auto);
    nowhere.launch.command.cwd = Some("/nonexistent/directory".into());
    let error = nowhere.start().await.unwrap_err();
    assert!(
        matches!(&error, UpstreamError::Unreachable { reason, .. } if reason.contains("/nonexistent/directory"))
    );
    let broken = Bench::new(command("sh", &["-c", "echo cannot find module >&2; exit 7"]), EraPin::Auto);
    let error = broken.start().await.unwrap_err();
    let UpstreamError::Handshake { reason, .. } = &error else { panic!("{error}") };
    assert!(reason.contains("exit status: 7") && reason.contains("cannot find module"), "{reason}");
}

#[tokio::test]
async fn a_child_has_no_environment_but_what_is_declared() {
    // It prints its environment, which is no message, and ends.
    let mut bench = Bench::new(command("env", &[]), EraPin::Legacy);
    bench.launch.base_environment = Arc::from([
        (OsString::from("PATH"), std::env::var_os("PATH").unwrap()),
        (OsString::from("LANG"), OsString::from("C")),
    ]);
    for (name, value) in [("TOKEN", "hunter2"), ("LANG", "C.UTF-8")] {
        bench.launch.command.env.insert(name.to_owned(), Secret::new(value));
    }
    assert!(bench.start().await.is_err());
    let mut environment = bench.log_of(LogSource::Stdout);
    environment.retain(|line| !line.starts_with("PATH="));
    assert_eq!(environment, ["LANG=C.UTF-8", "TOKEN=hunter2"]);
}

#[tokio::test]
async fn no_shell_sees_the_arguments() {
    let mut bench = Bench::new(python("legacy"), EraPin::Legacy);
    bench.launch.command.args.extend(["$HOME; echo".to_owned(), "a b".to_owned()]);
    bench.launch.command.cwd = Some("/".into());
    let connection = bench.start().await.unwrap();
    let process = ask(&connection, "test/process", json!({})).await.unwrap();
    assert_eq!(process["directory"], "/");
    assert_eq!(process["arguments"], json!(["legacy", "$HOME; echo", "a b"]));
}

#[tokio::test]
async fn junk_on_standard_output_disturbs_nobody() {
    let (bench, connection) = legacy().await;
    assert_eq!(ask(&connection, "test/junk", json!({})).await.unwrap(), json!({}));
    let junk = bench.log_of(LogSource::Stdout);
    assert_eq!(junk, ["Starting up...", "[1,2]", "{\"a\":1}", "\u{fffd}\u{e4}"]);
}

#[tokio::test]
async fn a_flood_on_standard_error_is_bounded() {
    let (bench, connection) = legacy().await;
    for width in [1, 10_000] {
        ask(&connection, "test/stderr", json!({ "lines": 5000, "width": width })).await.unwrap();
    }
    connection.stop("over").await;
    let lines = bench.launch.log.lines();
    assert!(lines.len() <= 1000);
    assert!(lines.iter().map(|line| line.text.len()).sum::<usize>() <= 256 << 10);
    assert!(lines.iter().any(|line| line.text.starts_with("line 4999 ")), "the newest lines are kept");
}

#[tokio::test]
async fn a_message_that_is_too_large_fails_its_own_request() {
    for first in ["result", "id"] {
        let mut bench = Bench::new(python("legacy"), EraPin::Legacy);
        bench.launch.limits.message_bytes = 100_000;
        let connection = bench.start().await.unwrap();
        let other = connection.exchange(request("test/hang", &json!({})));
        let large = ask(&connection, "test/large", json!({ "first": first, "bytes": 1_000_000 }));
        tokio::pin!(other);
        let large = tokio::select! {
            _ = &mut other => panic!("the other request has no answer"),
            large = large => large,
        };
        assert!(matches!(large, Err(UpstreamError::TooLarge { limit: 100_000 })), "{first}: {large:?}");
        let fits = ask(&connection, "test/large", json!({ "first": first, "bytes": 90_000 })).await.unwrap();
        assert_eq!(fits["text"].as_str().unwrap().len(), 90_000);
    }
}

#[tokio::test]
async fn output_without_any_line_break_fails_the_request_and_is_skipped() {
    let mut bench = Bench::new(python("legacy"), EraPin::Legacy);
    bench.launch.limits.message_bytes = 1 << 20;
    let connection = bench.start().await.unwrap();
    let endless = ask(&connection, "test/endless", json!({ "kilobytes": 20_000 })).await;
    assert!(matches!(endless, Err(UpstreamError::TooLarge { .. })), "{endless:?}");
}

#[tokio::test]
async fn progress_reaches_its_request_and_other_notifications_the_events() {
    let (mut bench, connection) = legacy().await;
    let _hanging = polled(connection.exchange(request("test/hang", &json!({})))).await;
    let outgoing = next_progress(3);
    let (notifications, answer) = all_of(connection.exchange(outgoing).await.unwrap()).await;
    let progress: Vec<Value> =
        notifications.iter().map(|message| value(message)["progress"].clone()).collect();
    assert_eq!(progress, [0, 1, 2]);
    assert!(answer.is_ok());
    ask(&connection, "test/changed", json!({})).await.unwrap();
    let ServerEvent::Notification(changed) = bench.event().await else { panic!("a notification") };
    assert_eq!(changed.method(), Some("notifications/tools/list_changed"));
    // Two are in flight, so that nobody can tell whose it is.
    ask(&connection, "test/log", json!({})).await.unwrap();
    let ServerEvent::Notification(log) = bench.event().await else { panic!("a notification") };
    assert_eq!(log.method(), Some("notifications/message"));
}

fn next_progress(count: usize) -> Outgoing {
    let mut outgoing = request("test/progress", &json!({}));
    let id = outgoing.id;
    let params = json!({ "count": count, "token": id });
    let body = json!({ "jsonrpc": "2.0", "id": id, "method": outgoing.method, "params": params });
    outgoing.body = Bytes::from(body.to_string());
    outgoing
}

/// The future after one poll: its request has been queued.
async fn polled<F: Future>(future: F) -> std::pin::Pin<Box<F>> {
    let mut future = Box::pin(future);
    std::future::poll_fn(|context| {
        let _pending = future.as_mut().poll(context);
        std::task::Poll::Ready(())
    })
    .await;
    future
}

#[tokio::test]
async fn a_log_message_belongs_to_the_only_request() {
    let (_bench, connection) = legacy().await;
    let exchange = connection.exchange(request("test/log", &json!({}))).await.unwrap();
    let (notifications, answer) = all_of(exchange).await;
    assert_eq!(notifications[0].method(), Some("notifications/message"));
    assert!(answer.is_ok());
}

#[tokio::test]
async fn a_server_that_asks_back_is_answered() {
    let (mut bench, connection) = legacy().await;
    let pong = ask(&connection, "test/ask", json!({ "method": "ping" })).await.unwrap();
    assert_eq!(pong["result"], json!({}));
    for method in ["sampling/createMessage", "elicitation/create", "roots/list", "vendor/thing"] {
        // No request of those that may ask is in flight: it is for whom the child serves.
        let (refusal, ()) = tokio::join!(ask(&connection, "test/ask", json!({ "method": method })), async {
            let ServerEvent::Question(asked, reply) = bench.event().await else { panic!("a question") };
            reply.refuse(&asked);
        });
        let refusal = refusal.unwrap();
        assert_eq!(refusal["error"]["code"], -32601);
        assert!(refusal["error"]["message"].as_str().unwrap().contains(method));
    }
}

#[tokio::test]
async fn dropping_a_request_cancels_it() {
    let (_bench, connection) = legacy().await;
    let call = request("test/hang", &json!({}));
    let id = call.id;
    let hanging = polled(connection.exchange(call)).await;
    assert_eq!(ask(&connection, "test/hanging", json!({})).await.unwrap(), json!([id]));
    drop(hanging);
    assert_eq!(ask(&connection, "test/cancelled", json!({})).await.unwrap(), json!([id]));
    // One that was answered is not cancelled, nor is one that never left.
    let unsent = polled(connection.exchange(request("test/echo", &json!({})))).await;
    drop(unsent);
    assert_eq!(ask(&connection, "test/cancelled", json!({})).await.unwrap(), json!([id]));
}

#[tokio::test]
async fn dropping_an_open_exchange_cancels_it() {
    let (_bench, connection) = legacy().await;
    let call = request("test/hang", &json!({}));
    let id = call.id;
    let hanging = connection.exchange(call);
    let (opened, _) =
        tokio::join!(hanging, ask(&connection, "test/progress", json!({ "count": 1, "token": id })));
    let Ok(Exchange::Open(open)) = opened else { panic!("{opened:?}") };
    drop(open);
    assert_eq!(ask(&connection, "test/cancelled", json!({})).await.unwrap(), json!([id]));
}

#[tokio::test]
async fn the_end_of_a_child_fails_what_waits_and_says_why() {
    let (mut bench, connection) = legacy().await;
    let waiting = connection.exchange(request("test/hang", &json!({})));
    let ending = connection.exchange(request("test/exit", &json!({})));
    let (waiting, ending) = tokio::join!(waiting, ending);
    for error in [waiting.unwrap_err(), ending.unwrap_err()] {
        let UpstreamError::Closed { reason } = &error else { panic!("{error}") };
        assert!(reason.contains("exit status: 3") && reason.contains("out of cheese"), "{reason}");
    }
    assert!(connection.is_closed());
    let ServerEvent::Closed { reason } = bench.event().await else { panic!("closed") };
    assert!(reason.contains("exit status: 3"), "{reason}");
    let late = ask(&connection, "test/echo", json!({})).await.unwrap_err();
    assert!(matches!(late, UpstreamError::SessionLost), "nothing was executed: {late}");
}

#[tokio::test]
async fn a_child_that_closes_its_output_is_ended() {
    let (mut bench, connection) = legacy().await;
    let process = ask(&connection, "test/process", json!({})).await.unwrap();
    let closed = ask(&connection, "test/close", json!({})).await.unwrap_err();
    assert!(matches!(&closed, UpstreamError::Closed { reason } if reason.contains("standard")), "{closed}");
    assert!(matches!(bench.event().await, ServerEvent::Closed { .. }));
    assert!(!is_running(process["id"].as_u64().unwrap()));
}

#[tokio::test]
async fn a_child_that_ignores_everything_is_killed_with_what_it_started() {
    let bench = Bench::new(python("stubborn"), EraPin::Legacy);
    let connection = bench.start().await.unwrap();
    let child = ask(&connection, "test/process", json!({})).await.unwrap()["id"].as_u64().unwrap();
    let grandchild = ask(&connection, "test/grandchild", json!({})).await.unwrap()["id"].as_u64().unwrap();
    assert!(is_running(child) && is_running(grandchild));
    timeout(PATIENCE, connection.stop("over")).await.expect("it stops");
    assert!(!is_running(child), "it has been reaped");
    gone(grandchild).await;
}

#[tokio::test]
async fn what_a_dead_child_leaves_behind_is_killed() {
    let (mut bench, connection) = legacy().await;
    let grandchild = ask(&connection, "test/grandchild", json!({})).await.unwrap()["id"].as_u64().unwrap();
    ask(&connection, "test/exit", json!({})).await.unwrap_err();
    assert!(matches!(bench.event().await, ServerEvent::Closed { .. }));
    gone(grandchild).await;
}

#[tokio::test]
async fn a_connection_that_is_dropped_stops_its_child() {
    let (mut bench, connection) = legacy().await;
    let child = ask(&connection, "test/process", json!({})).await.unwrap()["id"].as_u64().unwrap();
    drop(connection);
    assert!(matches!(bench.event().await, ServerEvent::Closed { .. }));
    assert!(!is_running(child));
}

#[tokio::test]
async fn a_message_with_line_breaks_is_sent_as_one() {
    let (_bench, connection) = legacy().await;
    let mut outgoing = request("test/echo", &json!({}));
    let body = format!(
        "{{\r\n\"jsonrpc\":\"2.0\",\n\"id\":{},\n\"method\":\"test/echo\",\"params\":{{\n\"a\":\"\\n\"}}}}",
        outgoing.id
    );
    outgoing.body = Bytes::from(body);
    let (_, answer) = all_of(connection.exchange(outgoing).await.unwrap()).await;
    assert_eq!(value(&answer.unwrap()), json!({ "a": "\n" }));
}

#[tokio::test]
async fn two_hundred_children_leave_no_process_and_no_descriptor_behind() {
    let bench = Bench::new(shell(), EraPin::Legacy);
    let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
    bench.start().await.unwrap().stop("first").await;
    let before = descriptors();
    for cycle in 0..200 {
        let connection = bench.start().await.unwrap();
        ask(&connection, "test/anything", json!({})).await.unwrap();
        if cycle % 2 == 0 {
            connection.stop("over").await;
        } else {
            let child = bench.launch.log.lines().last().unwrap().process_id.unwrap();
            drop(connection);
            gone(child.into()).await;
        }
    }
    assert_eq!(bench.starts(), 201);
    for line in bench.launch.log.lines() {
        assert!(!is_running(line.process_id.unwrap().into()));
    }
    // Other tests of the same process hold some for a while; a leak would be hundreds.
    let after = descriptors();
    assert!(after < before + 60, "{before} descriptors, then {after}");
}
