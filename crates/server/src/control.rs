//! The client of a running hub's control socket: the admin API over a Unix
//! socket that only its owner can open.

use std::io;
use std::time::Duration;

use anyhow::Context as _;
use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Limited};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;

use crate::DataDir;
use crate::api::{read, refusal, request};

/// The largest answer taken, in bytes.
const LARGEST_ANSWER: usize = 32 * 1024 * 1024;
/// How long an answer may take; a list may have to wait for servers.
const PATIENCE: Duration = Duration::from_mins(1);

/// `GET /api/v1/servers`.
#[derive(Debug, Deserialize)]
pub(crate) struct Servers {
    pub(crate) servers: Vec<ServerState>,
}

/// One server of the catalogue and how it fares.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ServerState {
    pub(crate) name: String,
    /// `stdio` or `http`.
    pub(crate) kind: String,
    /// The command line, or the URL.
    pub(crate) target: String,
    pub(crate) state: State,
    /// Live children or upstream sessions.
    pub(crate) instances: u64,
    /// When it last answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_exchange: Option<String>,
}

/// What the last real exchange with a server showed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) is: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) since: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

/// `GET /api/v1/servers/{name}/logs`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Logs {
    pub(crate) lines: Vec<LogLine>,
}

/// A line that a server wrote to its standard error.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LogLine {
    pub(crate) at: String,
    pub(crate) text: String,
}

/// `GET /api/v1/profiles`.
#[derive(Debug, Deserialize)]
pub(crate) struct Profiles {
    pub(crate) profiles: Vec<Profile>,
}

/// One profile and where it is served.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Profile {
    pub(crate) name: String,
    /// `oauth`, `api_key` or `none`.
    pub(crate) auth: String,
    /// The URL of its MCP endpoint.
    pub(crate) endpoint: String,
    pub(crate) servers: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
}

/// `GET /api/v1/profiles/{name}/tools`.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Tools {
    pub(crate) tools: Vec<Tool>,
    /// Servers whose tools are not in the list.
    #[serde(default)]
    pub(crate) missing: Vec<Missing>,
}

/// A server that has not said what it offers, and why.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Missing {
    pub(crate) server: String,
    pub(crate) state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
}

/// A tool as a profile shows it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Tool {
    /// The name that callers use.
    pub(crate) name: String,
    pub(crate) server: String,
    /// The server's own name of it.
    pub(crate) original: String,
    #[serde(default)]
    pub(crate) description: Option<String>,
}

/// A running hub.
#[derive(Debug)]
pub(crate) struct Control {
    stream: UnixStream,
}

impl Control {
    /// The hub that runs on `data`; none when there is none.
    ///
    /// # Errors
    /// The socket is there but cannot be opened.
    pub(crate) async fn connect(data: &DataDir) -> anyhow::Result<Option<Self>> {
        let socket = data.control_socket();
        match UnixStream::connect(&socket).await {
            Ok(stream) => Ok(Some(Self { stream })),
            // a hub that was killed leaves its socket behind
            Err(error)
                if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) =>
            {
                Ok(None)
            }
            Err(error) => Err(error).with_context(|| format!("cannot open {}", socket.display())),
        }
    }

    /// The hub that runs on `data`.
    ///
    /// # Errors
    /// There is none, or its socket cannot be opened.
    pub(crate) async fn running(data: &DataDir) -> anyhow::Result<Self> {
        let found = Self::connect(data).await?;
        found.with_context(|| {
            format!("no hub runs on {}; start it with `trunkline serve`", data.path().display())
        })
    }

    /// Asks for `path` and reads the JSON of the answer.
    ///
    /// # Errors
    /// The hub's own words when it refuses, or what went wrong on the way.
    pub(crate) async fn get<T: DeserializeOwned>(self, path: &str) -> anyhow::Result<T> {
        let (status, body) = self.send(request(Method::GET, path, Vec::new())?).await?;
        read(status, &body, path)
    }

    /// Waits until every event of the audit trail so far is in the database.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) async fn flush_audit(self) -> anyhow::Result<()> {
        let path = "/api/v1/audit/flush";
        let (status, body) = self.send(request(Method::POST, path, Vec::new())?).await?;
        if status.is_success() { Ok(()) } else { Err(refusal(status, &body, path)) }
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// What went wrong on the way, or the hub took too long.
    pub(crate) async fn send(self, request: Request<Body>) -> anyhow::Result<(StatusCode, Bytes)> {
        tokio::time::timeout(PATIENCE, self.exchange(request))
            .await
            .context("the hub did not answer in time")?
    }

    async fn exchange(self, request: Request<Body>) -> anyhow::Result<(StatusCode, Bytes)> {
        let (mut requests, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(self.stream)).await?;
        let answer = async move {
            let response = requests.send_request(request).await?;
            let status = response.status();
            let body = Limited::new(response.into_body(), LARGEST_ANSWER).collect().await;
            let body = body.map_err(|error| anyhow::anyhow!("the hub's answer broke off: {error}"))?;
            anyhow::Ok((status, body.to_bytes()))
        };
        tokio::pin!(answer, connection);
        loop {
            tokio::select! {
                answer = &mut answer => return answer,
                closed = &mut connection => closed.context("the hub closed the connection")?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::UnixListener;

    use super::*;

    /// A hub that gives one fixed answer, and what it was asked.
    fn answering(status: &str, body: &str) -> (tempfile::TempDir, tokio::task::JoinHandle<String>) {
        let directory = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(directory.path().join("control.sock")).unwrap();
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        (directory, task)
    }

    #[tokio::test]
    async fn an_answer_is_read() {
        let body = r#"{"servers":[{"name":"time","kind":"stdio","target":"uvx","state":{"is":"ready","since":"1970","extra":2},"instances":2}]}"#;
        let (directory, asked) = answering("200 OK", body);
        let control = Control::connect(&DataDir::new(directory.path())).await.unwrap().unwrap();
        let answer: Servers = control.get("/api/v1/servers").await.unwrap();
        assert_eq!((answer.servers[0].name.as_str(), answer.servers[0].instances), ("time", 2));
        assert!(asked.await.unwrap().starts_with("GET /api/v1/servers HTTP/1.1\r\n"));
    }

    #[tokio::test]
    async fn a_refusal_is_told_in_the_hubs_words() {
        let (directory, _asked) = answering("404 Not Found", r#"{"title":"x","detail":"no such server"}"#);
        let control = Control::connect(&DataDir::new(directory.path())).await.unwrap().unwrap();
        let refused = control.get::<Logs>("/api/v1/servers/x/logs").await.unwrap_err();
        assert_eq!(refused.to_string(), "no such server");
    }

    #[tokio::test]
    async fn no_socket_or_a_dead_one_is_no_hub() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::new(directory.path());
        assert!(Control::connect(&data).await.unwrap().is_none());
        drop(UnixListener::bind(data.control_socket()).unwrap());
        assert!(Control::connect(&data).await.unwrap().is_none());
    }
}
