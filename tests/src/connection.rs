//! One way to ask a server, whichever transport and era it speaks.

use anyhow::{Result, bail};

use crate::mcp_client::{LegacyClient, ModernClient};
use crate::message::Answer;
use crate::sse_client::SseClient;
use crate::stdio_client::StdioClient;

/// A server that has been greeted.
#[derive(Debug)]
pub enum Connection {
    Stdio(StdioClient),
    Sse(SseClient),
    Legacy(LegacyClient),
    Modern(ModernClient),
}

/// More pages than any server of the tests has.
const PAGES: usize = 100;

impl Connection {
    /// Sends a request and reads its answer. `params` is a JSON object.
    pub async fn request(&mut self, method: &str, params: &str) -> Result<Answer> {
        match self {
            Self::Stdio(client) => client.request(method, params).await,
            Self::Sse(client) => client.request(method, params).await,
            Self::Legacy(client) => client.request(method, params).await,
            Self::Modern(client) => client.request(method, params).await,
        }
    }

    /// Calls a tool. `arguments` is a JSON object.
    pub async fn call(&mut self, tool: &str, arguments: &str) -> Result<Answer> {
        self.request("tools/call", &call_params(tool, arguments)).await
    }

    /// All entries of a list, over all its pages, each as the server wrote it.
    pub async fn list(&mut self, method: &str, key: &str) -> Result<Vec<String>> {
        let mut entries = Vec::new();
        let mut params = "{}".to_owned();
        for _ in 0..PAGES {
            let answer = self.request(method, &params).await?;
            entries.extend(answer.entries(key)?);
            let Some(cursor) = answer.next_cursor()? else { return Ok(entries) };
            params = serde_json::json!({ "cursor": cursor }).to_string();
        }
        bail!("{method} has more than {PAGES} pages")
    }
}

/// The parameters of `tools/call`. `arguments` is a JSON object.
pub fn call_params(tool: &str, arguments: &str) -> String {
    format!(r#"{{"name":{},"arguments":{arguments}}}"#, serde_json::Value::from(tool))
}
