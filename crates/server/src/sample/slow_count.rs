//! The tool `slow_count`: progress while it runs, and an end when it is cancelled.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::message::{Context, Level};
use super::session::Client;
use super::tools::text;

/// A call of `slow_count` with its arguments checked.
#[derive(Debug)]
pub(super) struct SlowCount {
    to: u64,
    delay: Duration,
}

impl SlowCount {
    pub(super) const HIGHEST: u64 = 1_000;
    pub(super) const LONGEST_DELAY_MS: u64 = 60_000;
    pub(super) const DEFAULT_DELAY_MS: u64 = 500;

    /// # Errors
    /// A sentence about the argument that is wrong.
    pub(super) fn from_arguments(arguments: &Map<String, Value>) -> Result<Self, String> {
        let to = arguments.get("to").and_then(Value::as_u64).filter(|to| (1..=Self::HIGHEST).contains(to));
        let to =
            to.ok_or_else(|| format!("slow_count needs \"to\", an integer from 1 to {}", Self::HIGHEST))?;
        let delay_ms = match arguments.get("delay_ms") {
            None => Self::DEFAULT_DELAY_MS,
            Some(delay) => {
                delay.as_u64().filter(|delay| *delay <= Self::LONGEST_DELAY_MS).ok_or_else(|| {
                    format!("\"delay_ms\" must be an integer from 0 to {}", Self::LONGEST_DELAY_MS)
                })?
            }
        };
        Ok(Self { to, delay: Duration::from_millis(delay_ms) })
    }

    /// Counts to the end and gives the `CallToolResult`.
    pub(super) async fn run(self, client: &Client, context: &Context) -> Value {
        for step in 1..=self.to {
            tokio::time::sleep(self.delay).await;
            if let Some(token) = &context.progress_token {
                let params = json!({
                    "progressToken": token, "progress": step, "total": self.to,
                    "message": format!("{step} of {}", self.to),
                });
                client.notify("notifications/progress", &params).await;
            }
            client.log(context, Level::Info, &json!({ "counted": step })).await;
        }
        text(&format!("Counted to {}.", self.to))
    }
}
