//! Against scripted servers on loopback.

mod answers;
mod eras;
mod streams;

use std::sync::Arc;

use super::scripted::*;
use super::*;
use crate::upstream::Era;

async fn connected(url: &str) -> Arc<HttpConnection> {
    let (link, _) = link_to(url);
    http(connect(link).await.unwrap())
}

fn http(connection: Connection) -> Arc<HttpConnection> {
    match connection {
        Connection::Http(connection) => connection,
        other => panic!("streamable HTTP is expected: {other:?}"),
    }
}

impl HttpConnection {
    /// A call without the permit that only the guard can make.
    async fn ask(&self, outgoing: Outgoing) -> Result<Exchange, UpstreamError> {
        self.exchange(outgoing).await
    }
}

fn done(exchange: Exchange) -> String {
    match exchange {
        Exchange::Done(message) => message.payload().unwrap().to_owned(),
        Exchange::Open(_) => panic!("an answer at once is expected"),
    }
}
