//! What every request passes before its route, and every answer after it.

use std::sync::Arc;

use axum::Router;
use tower::ServiceBuilder;
use trunkline_model::Clock;

use crate::Gate;
use crate::log::LogLayer;
use crate::request_id::RequestIdLayer;
use crate::rescue::RescueLayer;

/// Puts the layers of every listener around `router`, which must be complete:
/// a route added later has none of them.
///
/// They stand around the routes, not around the router, because the log line
/// names the matched path; and they are one service, because the router boxes
/// each layer that it is given.
pub fn front(router: Router, gate: Gate, clock: Arc<dyn Clock>) -> Router {
    router.layer(
        ServiceBuilder::new()
            // Outermost: each answer, refusals and defects too, has the id that the others below name.
            .layer(RequestIdLayer::new(clock))
            // Next: it has the id, and sees what the layers below answer in a route's place.
            .layer(LogLayer)
            // Inside the log, so that a defect has its line; around all that could have one.
            .layer(RescueLayer)
            // Innermost: nothing of a request from a foreign page reaches a route.
            .layer(gate),
    )
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Mutex;

    use axum::body::Body;
    use axum::extract::Request;
    use axum::response::Response;
    use axum::routing::{get, post};
    use tower::ServiceExt as _;
    use tracing_subscriber::fmt::MakeWriter;
    use trunkline_model::SystemClock;

    use super::*;
    use crate::gate::GateConfig;

    /// Lines of the log, in memory.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Lines {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    impl Lines {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("not poisoned").clone()).expect("UTF-8")
        }
    }

    fn logging() -> (Lines, tracing::subscriber::DefaultGuard) {
        let lines = Lines::default();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::DEBUG)
            .with_ansi(false)
            .with_writer(lines.clone())
            .finish();
        (lines, tracing::subscriber::set_default(subscriber))
    }

    fn router() -> Router {
        let gate = Gate::new(&GateConfig { loopback: true, ..GateConfig::default() }).expect("a gate");
        let router = Router::new()
            .route("/mcp/{profile}", post(async || "answer"))
            .route("/never", get(std::future::pending::<()>));
        front(router, gate, Arc::new(SystemClock))
    }

    fn request(method: &str, uri: &str, host: &str) -> Request {
        Request::builder()
            .method(method)
            .uri(uri)
            .header("host", host)
            .header("authorization", "Bearer secret-header")
            .body(Body::empty())
            .expect("a request")
    }

    async fn answer(request: Request) -> Response {
        router().oneshot(request).await.expect("infallible")
    }

    #[tokio::test]
    async fn a_line_names_the_route_and_the_id_and_no_secret() {
        let (lines, _guard) = logging();
        let response = answer(request("POST", "/mcp/secret-path?key=secret-query", "localhost")).await;
        let id = response.headers()["x-request-id"].to_str().expect("ASCII");
        let text = lines.text();
        assert!(text.contains("DEBUG"), "{text}");
        for part in ["/mcp/{profile}", "POST", "status=200", "duration_us=", id] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(!text.contains("secret"), "{text}");
    }

    #[tokio::test]
    async fn refusals_and_unknown_paths_have_an_id_and_a_line() {
        let (lines, _guard) = logging();
        let cases = [
            ("POST", "/mcp/a", "evil.example", 403),
            ("GET", "/nowhere", "localhost", 404),
            ("GET", "/mcp/a", "localhost", 405),
        ];
        for (method, uri, host, status) in cases {
            let response = answer(request(method, uri, host)).await;
            assert_eq!(response.status(), status);
            assert!(response.headers().contains_key("x-request-id"), "{uri}");
            assert!(lines.text().contains(&format!("status={status}")), "{}", lines.text());
        }
    }

    #[tokio::test]
    async fn a_client_that_goes_away_leaves_a_line() {
        let (lines, _guard) = logging();
        let mut waiting = Box::pin(router().oneshot(request("GET", "/never", "localhost")));
        assert!(futures_util::poll!(&mut waiting).is_pending());
        drop(waiting);
        assert!(lines.text().contains("client went away"), "{}", lines.text());
    }
}
