//! The admin API as commands use it: the running hub's over its control
//! socket, or without one that of a hub in this process, on the same database.

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt as _;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tower::ServiceExt as _;
use trunkline_console::Door;

use crate::DataDir;
use crate::config::Config;
use crate::control::Control;
use crate::core::Core;

/// What an error answer says (RFC 9457).
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ProblemDetails {
    title: Option<String>,
    detail: Option<String>,
}

/// The admin API of one hub. What it changes counts in the running hub at
/// once, and stands in the audit trail.
pub(crate) struct Api {
    at: At,
}

enum At {
    /// A hub that runs on this directory.
    Socket(DataDir),
    Here(Box<Here>),
}

/// A hub that serves nobody but this command.
struct Here {
    core: Core,
    router: Router,
}

impl Api {
    /// The hub that runs on `data`; none when there is none.
    ///
    /// # Errors
    /// Its socket cannot be opened.
    pub(crate) async fn running(data: DataDir) -> anyhow::Result<Option<Self>> {
        Ok(Control::connect(&data).await?.map(|_| Self { at: At::Socket(data) }))
    }

    /// A hub of `config` in this process, which starts no server. The database
    /// is made when there is none.
    ///
    /// # Errors
    /// It cannot be opened.
    pub(crate) async fn alone(data: &DataDir, config: &Config) -> anyhow::Result<Self> {
        let public_url = config.base_url(config.listen);
        let core = Core::start(config, data, public_url.parse()?).await?;
        let router = trunkline_console::router(core.admin(public_url), Door::ControlSocket);
        Ok(Self { at: At::Here(Box::new(Here { core, router })) })
    }

    /// Asks for `path` and reads the JSON of the answer.
    ///
    /// # Errors
    /// The hub's own words when it refuses, or what went wrong on the way.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.ask(Method::GET, path, &()).await
    }

    /// Sends `body` and reads the JSON of the answer.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        let (status, answer) = self.exchange(method, path, body).await?;
        read(status, &answer, path)
    }

    /// Sends `body`; whatever a good answer says is left.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub(crate) async fn tell(&self, method: Method, path: &str, body: &impl Serialize) -> anyhow::Result<()> {
        let (status, answer) = self.exchange(method, path, body).await?;
        if status.is_success() { Ok(()) } else { Err(refusal(status, &answer, path)) }
    }

    /// Brings what was recorded into the database, and closes it.
    pub(crate) async fn close(self) {
        if let At::Here(here) = self.at {
            here.core.stop().await;
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let request = request(method, path, serde_json::to_vec(body)?)?;
        match &self.at {
            At::Socket(data) => Control::running(data).await?.send(request).await,
            At::Here(here) => here.send(request).await,
        }
    }
}

impl Here {
    async fn send(&self, request: Request<Body>) -> anyhow::Result<(StatusCode, Bytes)> {
        let response = match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let status = response.status();
        Ok((status, response.into_body().collect().await?.to_bytes()))
    }
}

/// A request for the admin API.
pub(crate) fn request(method: Method, path: &str, body: Vec<u8>) -> http::Result<Request<Body>> {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "localhost")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(body))
}

/// The JSON of an answer.
///
/// # Errors
/// As [`refusal`], or it is not what was expected.
pub(crate) fn read<T: DeserializeOwned>(status: StatusCode, body: &[u8], path: &str) -> anyhow::Result<T> {
    if !status.is_success() {
        return Err(refusal(status, body, path));
    }
    serde_json::from_slice(body).with_context(|| format!("the hub's answer to {path} is not understood"))
}

/// What the hub said instead.
pub(crate) fn refusal(status: StatusCode, body: &[u8], path: &str) -> anyhow::Error {
    let problem: ProblemDetails = serde_json::from_slice(body).unwrap_or_default();
    match problem.detail.or(problem.title) {
        Some(words) => anyhow::anyhow!("{words}"),
        None => anyhow::anyhow!("the hub answered {path} with {status}"),
    }
}

/// `text` as one part of a path, or as a value in a query.
pub(crate) fn segment(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}
