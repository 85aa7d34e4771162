//! Lets a tool end the response that will carry its answer, before the answer.

use std::future::ready;
use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, Stream, StreamExt as _};
use http::header::CONTENT_TYPE;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

/// What is written of an event before the connection breaks.
const HALF_AN_EVENT: &[u8] = br#"data: {"jsonrpc":"2.0","#;

/// An error drops what is not yet on the wire: what was written has so long to get there.
const HEAD_START: Duration = Duration::from_millis(50);

/// Ends one response; a request carries it among its extensions.
#[derive(Debug, Clone, Default)]
pub(crate) struct ResponseControl {
    end: CancellationToken,
    cut: CancellationToken,
}

impl ResponseControl {
    /// Ends the response as if it were complete.
    pub(crate) fn end(&self) {
        self.end.cancel();
    }

    /// Breaks off within an event, and drops the connection.
    pub(crate) fn cut(&self) {
        self.cut.cancel();
    }
}

/// The layer.
pub(super) async fn control(mut request: Request, next: Next) -> Response {
    let control = ResponseControl::default();
    request.extensions_mut().insert(control.clone());
    let response = tokio::select! {
        response = next.run(request) => response,
        // No header was written yet: they are, so that there is something to break off.
        () = control.cut.cancelled() => ([(CONTENT_TYPE, "text/event-stream")], Body::empty()).into_response(),
    };
    response.map(|body| controlled(body, control))
}

fn controlled(body: Body, control: ResponseControl) -> Body {
    let ResponseControl { end, cut } = control;
    let stop = {
        let cut = cut.clone();
        async move {
            tokio::select! {
                () = end.cancelled_owned() => {}
                () = cut.cancelled_owned() => {}
            }
        }
    };
    let rest = stream::once(async move { cut.is_cancelled() })
        .filter(|is_cut| ready(*is_cut))
        .flat_map(|_| half_an_event());
    let sent = body.into_data_stream().map(|chunk| chunk.map_err(io::Error::other));
    Body::from_stream(sent.take_until(stop).chain(rest))
}

fn half_an_event() -> impl Stream<Item = io::Result<Bytes>> {
    let half = stream::once(ready(Ok(Bytes::from_static(HALF_AN_EVENT))));
    half.chain(stream::once(async {
        sleep(HEAD_START).await;
        Err(io::Error::new(io::ErrorKind::ConnectionReset, "the answer was cut, as asked"))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(body: Body) -> Vec<Result<Bytes, ()>> {
        body.into_data_stream().map(|chunk| chunk.map_err(drop)).collect().await
    }

    #[tokio::test]
    async fn a_response_left_alone_is_whole() {
        let body = controlled(Body::from("data"), ResponseControl::default());
        assert_eq!(read(body).await, [Ok(Bytes::from_static(b"data"))]);
    }

    #[tokio::test]
    async fn an_ended_response_is_complete_to_the_eye() {
        let control = ResponseControl::default();
        let body = controlled(Body::from_stream(stream::pending::<io::Result<Bytes>>()), control.clone());
        control.end();
        assert_eq!(read(body).await, []);
    }

    #[tokio::test]
    async fn a_cut_response_breaks_within_an_event() {
        let control = ResponseControl::default();
        let body = controlled(Body::from_stream(stream::pending::<io::Result<Bytes>>()), control.clone());
        control.cut();
        assert_eq!(read(body).await, [Ok(Bytes::from_static(HALF_AN_EVENT)), Err(())]);
    }
}
