//! A server that lists something else in one session than in the others.

use super::*;
use crate::downstream::session::Session;
use crate::method::Request;
use crate::upstream::http::scripted::stateful::Sessions;

struct Stage {
    bench: Bench,
    server: Sessions,
    _scripted: Scripted,
}

impl Stage {
    async fn new() -> Self {
        let server = Sessions::default();
        let scripted = server.start().await;
        let bench = Bench::new(vec![at_url("scripted", &scripted.url)]).await;
        Self { bench, server, _scripted: scripted }
    }

    fn request(&self, session: &Arc<Session>, method: &str, params: &str) -> Request {
        let request = self.bench.request(&caller(1), method, params);
        Request { session: Some(Arc::clone(session)), ..request }
    }

    /// A session, and the one that the server has for it.
    async fn session(&self) -> (Arc<Session>, String) {
        let (_, session) = self.bench.hub.sessions.begin(&caller(1), "2025-06-18", None).unwrap();
        let request = self.request(&session, "tools/call", r#"{"name":"tool_0"}"#);
        self.bench.hub.connection(&name("scripted"), &request).await.expect("a connection");
        (session, format!("session-{}", self.server.count()))
    }

    async fn tools(&self, session: &Arc<Session>) -> usize {
        let request = self.request(session, "tools/list", "{}");
        self.bench.hub.listed_view(&request).await.tools().count()
    }
}

async fn told(session: &Session) -> Due {
    let reader = session.subscriber.take_over();
    timeout(PATIENCE, session.subscriber.next(reader)).await.expect("it is told")
}

#[tokio::test]
async fn what_a_server_lists_in_one_session_is_shown_in_that_alone() {
    let stage = Stage::new().await;
    let (one, at_server) = stage.session().await;
    let (other, _) = stage.session().await;
    assert_eq!((stage.tools(&one).await, stage.tools(&other).await), (1, 1));
    stage.server.add_tool(&at_server).await;
    assert_eq!(told(&one).await, Due::ListChanged(ListKind::Tools));
    let (first, second, others) = tokio::join!(stage.tools(&one), stage.tools(&one), stage.tools(&other));
    assert_eq!((first, second, others), (2, 2, 1));
    let call = |session| stage.request(session, "tools/call", "{}");
    let hub = &stage.bench.hub;
    assert!(hub.tool(&call(&one), "scripted__tool_1").await.is_some());
    assert!(hub.tool(&call(&other), "scripted__tool_1").await.is_none());
    stage.server.add_tool(&at_server).await;
    assert_eq!(told(&one).await, Due::ListChanged(ListKind::Tools));
    assert!(hub.tool(&call(&one), "scripted__tool_2").await.is_some(), "also when it is called at once");
}

#[tokio::test]
async fn a_session_in_which_nothing_differs_shares_its_view_with_the_others() {
    let stage = Stage::new().await;
    let (one, at_server) = stage.session().await;
    assert_eq!(stage.tools(&one).await, 1);
    stage.server.say(&at_server, "notifications/tools/list_changed").await;
    assert_eq!(told(&one).await, Due::ListChanged(ListKind::Tools));
    assert_eq!(stage.tools(&one).await, 1);
    assert!(!one.subscriber.has_own_lists.load(Ordering::Relaxed));
    assert_eq!(stage.bench.hub.views().len(), 1);
}

#[tokio::test]
async fn what_a_server_says_unasked_goes_to_the_session_in_which_it_says_it() {
    let stage = Stage::new().await;
    let (one, at_server) = stage.session().await;
    let (other, of_other) = stage.session().await;
    stage.server.say(&at_server, "notifications/one").await;
    stage.server.say(&of_other, "notifications/other").await;
    for (session, method) in [(one, "notifications/one"), (other, "notifications/other")] {
        let Due::Message(message) = told(&session).await else { panic!("a message") };
        assert!(String::from_utf8_lossy(&message).contains(method), "{message:?}");
    }
}

#[tokio::test]
async fn what_is_kept_for_a_session_ends_when_the_session_is_forgotten() {
    let stage = Stage::new().await;
    let (session, _) = stage.session().await;
    let hub = Arc::clone(&stage.bench.hub);
    stage.bench.clock.advance(Duration::from_mins(31));
    hub.sweep_sessions();
    assert_eq!(hub.upstreams.sessions().len(), 1, "somebody holds it");
    drop(session);
    hub.sweep_sessions();
    assert!(hub.upstreams.sessions().is_empty());
}
