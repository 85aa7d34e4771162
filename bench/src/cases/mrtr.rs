//! What a call costs in whose course the server asks for a form: two requests,
//! and a state that the hub seals and opens (2026-07-28, basic/patterns/mrtr).

use anyhow::{Context as _, Result, bail};
use http::StatusCode;
use serde::Deserialize;

use super::{Bench, Measured, Rounds};
use crate::hub::MODERN_PROFILE;
use crate::load::{Client, Connection, Step, Target, call_tool_modern};
use crate::report::Figures;
use crate::upstream::modern;

/// The tool as the profile shows it.
const SHOWN: &str = "m__ask";
/// Fewer exchanges than requests: each has two.
const SHARE: usize = 2;

pub(super) async fn measure(bench: &Bench, hub: Option<&Measured<'_>>, figures: &mut Figures) -> Result<()> {
    let mut rounds = Rounds::default();
    let count = bench.size.requests / SHARE;
    for _ in 0..bench.size.rounds {
        let direct = bench.direct();
        let target = asking(&direct, modern::PATH.to_owned(), modern::ASK);
        let direct = Measured { target, ..direct };
        rounds.add(direct.name, bench.round(&direct, count, Exchange { tool: modern::ASK }).await?);
        if let Some(hub) = hub {
            let target = asking(hub, format!("/mcp/{MODERN_PROFILE}"), SHOWN);
            let measured = Measured { name: hub.name, process: hub.process, target };
            rounds.add(hub.name, bench.round(&measured, count, Exchange { tool: SHOWN }).await?);
        }
    }
    figures.rows.extend(rounds.rows("call that asks first"));
    Ok(())
}

fn asking(of: &Measured<'_>, path: String, tool: &'static str) -> Target {
    let client = Client::Modern { method: "tools/call", tool: Some(tool) };
    Target { paths: vec![path], key: None, client, ..of.target.clone() }
}

/// A call, the server's question, and the call again with the answer.
#[derive(Debug, Clone, Copy)]
struct Exchange {
    tool: &'static str,
}

#[derive(Deserialize)]
struct Asked<'a> {
    #[serde(borrow)]
    result: Option<Question<'a>>,
}

#[derive(Deserialize)]
struct Question<'a> {
    #[serde(rename = "requestState")]
    state: Option<&'a str>,
}

impl Step for Exchange {
    async fn take(&self, connection: &mut Connection) -> Result<()> {
        let asked = connection.post(call_tool_modern(self.tool, "")).await?;
        let shown = || String::from_utf8_lossy(&asked.body).into_owned();
        let question: Asked<'_> = serde_json::from_slice(&asked.body).with_context(shown)?;
        let state = question.result.and_then(|question| question.state).with_context(shown)?;
        let more = format!(
            r#""inputResponses":{{"name":{{"action":"accept","content":{{"name":"Ada"}}}}}},"requestState":"{state}","#
        );
        let done = connection.post(call_tool_modern(self.tool, &more)).await?;
        if done.status != StatusCode::OK || done.body.len() < 1000 {
            bail!("an answer led nowhere: {} {}", done.status, String::from_utf8_lossy(&done.body));
        }
        Ok(())
    }
}
