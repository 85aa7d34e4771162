//! HTTP/1.1 as bytes on a socket, for what no HTTP client would send.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

/// No answer of a test takes longer.
const LIMIT: Duration = Duration::from_secs(30);

/// A request as it goes out: nothing is checked and nothing is added but the
/// length of its body.
#[derive(Debug, Clone)]
pub struct RawRequest {
    pub method: String,
    pub target: String,
    pub version: &'static str,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
    /// Whether `Content-Length` is added.
    pub measured: bool,
}

impl RawRequest {
    pub fn new(method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            version: "HTTP/1.1",
            headers: Vec::new(),
            body: Vec::new(),
            measured: true,
        }
    }

    /// The same with one more header, which may be there already.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_owned()));
        self
    }

    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
        self
    }

    /// The same with this header once.
    #[must_use]
    pub fn set(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.without(name).with(name, value)
    }

    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// The same without a length of its own.
    #[must_use]
    pub fn unmeasured(self) -> Self {
        Self { measured: false, ..self }
    }

    #[must_use]
    pub fn aimed(self, method: &str, target: &str) -> Self {
        Self { method: method.to_owned(), target: target.to_owned(), ..self }
    }

    /// What goes over the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} {}\r\n", self.method, self.target, self.version).into_bytes();
        for (name, value) in &self.headers {
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(b": ");
            bytes.extend_from_slice(value);
            bytes.extend_from_slice(b"\r\n");
        }
        if self.measured {
            bytes.extend_from_slice(format!("Content-Length: {}\r\n", self.body.len()).as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        bytes
    }
}

/// An answer as it came.
#[derive(Debug, Clone)]
pub struct RawResponse {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl RawResponse {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Result<Value> {
        serde_json::from_slice(&self.body).with_context(|| format!("{} {}", self.status, self.text()))
    }
}

/// Sends one request on a connection of its own and reads the answer.
pub async fn exchange(address: &str, request: &RawRequest) -> Result<RawResponse> {
    let mut connection = RawConnection::open(address).await?;
    connection.send_aside(request.bytes());
    connection.response(&request.method).await
}

/// One connection.
#[derive(Debug)]
pub struct RawConnection {
    reader: OwnedReadHalf,
    writer: Option<OwnedWriteHalf>,
    received: Vec<u8>,
}

impl RawConnection {
    /// Connects to `HOST:PORT`.
    pub async fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        Ok(Self { reader, writer: Some(writer), received: Vec::new() })
    }

    /// Sends these bytes.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let writer = self.writer.as_mut().context("this side is closed")?;
        Ok(timeout(LIMIT, writer.write_all(bytes)).await??)
    }

    /// Sends these bytes while the answer is already being read: the other
    /// side may answer before it has read them all. Nothing can be sent after
    /// them; the connection stays open in both directions.
    pub fn send_aside(&mut self, bytes: Vec<u8>) {
        let Some(mut writer) = self.writer.take() else { return };
        tokio::spawn(async move {
            // Who closes early has answered or will be noticed by the reader.
            if writer.write_all(&bytes).await.is_ok() {
                std::future::pending::<()>().await;
            }
        });
    }

    /// Closes this side; the other may still send.
    pub async fn half_close(&mut self) -> Result<()> {
        let mut writer = self.writer.take().context("this side is closed")?;
        Ok(writer.shutdown().await?)
    }

    /// The next final answer, to a request of this method.
    pub async fn response(&mut self, method: &str) -> Result<RawResponse> {
        let read = timeout(LIMIT, self.read_response(method)).await;
        read.with_context(|| format!("no whole answer in {LIMIT:?}: {}", self.so_far()))?
    }

    /// Everything up to the end of the connection.
    pub async fn rest(&mut self) -> Result<Vec<u8>> {
        while timeout(LIMIT, self.more()).await.context("the connection stays open")?? {}
        Ok(std::mem::take(&mut self.received))
    }

    /// Whether the other side has closed the connection without another byte.
    pub async fn is_over(&mut self) -> Result<bool> {
        Ok(self.rest().await.map_or_else(|_| true, |rest| rest.is_empty()))
    }

    async fn read_response(&mut self, method: &str) -> Result<RawResponse> {
        let (status, headers) = loop {
            let head = self.head().await?;
            let (status, headers) = parse_head(&head)?;
            if status >= 200 {
                break (status, headers);
            }
        };
        let mut response = RawResponse { status, headers, body: Vec::new() };
        response.body = if method == "HEAD" || status == 204 {
            Vec::new()
        } else if let Some(length) = response.header("content-length") {
            self.take(length.parse()?).await?
        } else if response.header("transfer-encoding") == Some("chunked") {
            self.chunks().await?
        } else {
            while self.more().await? {}
            std::mem::take(&mut self.received)
        };
        Ok(response)
    }

    async fn head(&mut self) -> Result<String> {
        let end = self.find(b"\r\n\r\n").await?;
        Ok(String::from_utf8_lossy(&self.take(end + 4).await?).into_owned())
    }

    async fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = self.find(b"\r\n").await?;
            let line = String::from_utf8_lossy(&self.take(end + 2).await?).into_owned();
            let length = usize::from_str_radix(line.trim(), 16)?;
            body.extend_from_slice(&self.take(length).await?);
            self.take(2).await?;
            if length == 0 {
                return Ok(body);
            }
        }
    }

    async fn find(&mut self, mark: &[u8]) -> Result<usize> {
        loop {
            if let Some(at) = self.received.windows(mark.len()).position(|window| window == mark) {
                return Ok(at);
            }
            if !self.more().await? {
                bail!("the connection ended: {}", self.so_far());
            }
        }
    }

    async fn take(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.received.len() < length {
            if !self.more().await? {
                bail!("the connection ended: {}", self.so_far());
            }
        }
        let rest = self.received.split_off(length);
        Ok(std::mem::replace(&mut self.received, rest))
    }

    async fn more(&mut self) -> Result<bool> {
        Ok(self.reader.read_buf(&mut self.received).await? > 0)
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.received).into_owned()
    }
}

fn parse_head(head: &str) -> Result<(u16, Vec<(String, String)>)> {
    let mut lines = head.trim_end().split("\r\n");
    let status_line = lines.next().unwrap_or_default();
    let status = status_line.split(' ').nth(1).with_context(|| status_line.to_owned())?.parse()?;
    let headers = lines.filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
    Ok((status, headers.collect()))
}
