//! JSON-RPC messages with their parts as the sender wrote them.

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The envelope of one message; each part keeps its bytes.
#[derive(Debug, Deserialize)]
pub struct Envelope {
    #[serde(default)]
    pub id: Option<Box<RawValue>>,
    #[serde(default)]
    pub method: Option<String>,
    #[serde(default)]
    pub params: Option<Box<RawValue>>,
    #[serde(default)]
    pub result: Option<Box<RawValue>>,
    #[serde(default)]
    pub error: Option<Box<RawValue>>,
}

impl Envelope {
    /// Reads one message.
    pub fn parse(text: &str) -> Result<Self> {
        serde_json::from_str(text).with_context(|| format!("not a JSON-RPC message: {text}"))
    }

    /// Whether this is the answer to the request with this id.
    pub fn answers(&self, id: &str) -> bool {
        self.method.is_none() && self.id.as_deref().is_some_and(|own| own.get() == id)
    }
}

/// The answer to one request, and what came before it on the same stream.
#[derive(Debug)]
pub struct Answer {
    pub result: Option<Box<RawValue>>,
    pub error: Option<Box<RawValue>>,
    pub before: Vec<Envelope>,
}

impl Answer {
    /// The result as the server wrote it.
    pub fn result(&self) -> Result<&str> {
        match (&self.result, &self.error) {
            (Some(result), _) => Ok(result.get()),
            (None, Some(error)) => bail!("answered with the error {error}"),
            (None, None) => bail!("an answer with neither result nor error"),
        }
    }

    /// The result as a tree.
    pub fn result_value(&self) -> Result<serde_json::Value> {
        Ok(serde_json::from_str(self.result()?)?)
    }

    /// Code and message of the error that the server answered with.
    pub fn error(&self) -> Result<ErrorObject> {
        let error = self.error.as_ref().context("answered with a result")?;
        Ok(serde_json::from_str(error.get())?)
    }

    /// The error as a tree.
    pub fn error_value(&self) -> Result<serde_json::Value> {
        let error = self.error.as_ref().context("answered with a result")?;
        Ok(serde_json::from_str(error.get())?)
    }

    /// What the server wrote, result or error: for comparing two answers.
    pub fn text(&self) -> &str {
        self.result.as_ref().or(self.error.as_ref()).map_or("", |value| value.get())
    }

    /// The entries of a list in the result, each as the server wrote it.
    pub fn entries(&self, key: &str) -> Result<Vec<String>> {
        let result: serde_json::Map<String, serde_json::Value> = serde_json::from_str(self.result()?)?;
        if !result.contains_key(key) {
            bail!("no {key} in {}", self.text());
        }
        let fields: std::collections::HashMap<String, Box<RawValue>> = serde_json::from_str(self.result()?)?;
        let list = fields.get(key).context("the list is not there")?;
        let entries: Vec<Box<RawValue>> = serde_json::from_str(list.get())?;
        Ok(entries.into_iter().map(|entry| entry.get().to_owned()).collect())
    }

    /// The cursor of the next page, while there is one.
    pub fn next_cursor(&self) -> Result<Option<String>> {
        let value = self.result_value()?;
        Ok(value.get("nextCursor").and_then(|cursor| cursor.as_str()).map(str::to_owned))
    }

    /// The text of the first content block of a tool's result.
    pub fn first_text(&self) -> Result<String> {
        let value = self.result_value()?;
        let text = value.pointer("/content/0/text").and_then(|text| text.as_str());
        Ok(text.with_context(|| format!("no text in {value}"))?.to_owned())
    }
}

/// A JSON-RPC error.
#[derive(Debug, Deserialize, PartialEq)]
pub struct ErrorObject {
    pub code: i64,
    pub message: String,
    #[serde(default)]
    pub data: Option<serde_json::Value>,
}

/// A request as one line of JSON. `params` is a JSON object.
pub fn request(id: &str, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
}

/// A notification as one line of JSON. `params` is a JSON object.
pub fn notification(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#)
}

/// The parameters of `initialize` for a client that can do what `capabilities`
/// (a JSON object) says.
pub fn initialize_params(version: &str, capabilities: &str) -> String {
    format!(
        r#"{{"protocolVersion":"{version}","capabilities":{capabilities},"clientInfo":{{"name":"trunkline-tests","version":"1"}}}}"#
    )
}

/// `params` (a JSON object) with the metadata that 2026-07-28 asks of each
/// request.
pub fn with_modern_meta(params: &str, capabilities: &str) -> Result<String> {
    let mut fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(params)?;
    let meta = fields.entry("_meta").or_insert_with(|| serde_json::json!({}));
    let meta = meta.as_object_mut().context("_meta is an object")?;
    let prefix = "io.modelcontextprotocol";
    meta.insert(format!("{prefix}/protocolVersion"), MODERN.into());
    meta.insert(format!("{prefix}/clientCapabilities"), serde_json::from_str(capabilities)?);
    meta.insert(
        format!("{prefix}/clientInfo"),
        serde_json::json!({ "name": "trunkline-tests", "version": "1" }),
    );
    Ok(serde_json::to_string(&fields)?)
}

/// The newest version of the era with `initialize` and sessions.
pub const LEGACY: &str = "2025-11-25";
/// The first version of the era without them.
pub const MODERN: &str = "2026-07-28";
