//! The client that the client half of the conformance suite judges: the hub
//! before the server that the suite scripts, and a plain client before the hub.
//! What the suite sees is what the hub sends.
//!
//! The suite starts it with the server's URL as its argument and the name of the
//! scenario in the environment. [`ERA`] says what the plain client speaks.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use tokio::time::timeout;
use trunkline_tests::conformance_user::{ASKABLE, User};
use trunkline_tests::hub::TestHub;
use trunkline_tests::suite_authorization;

/// `legacy` or `modern`.
const ERA: &str = "TRUNKLINE_CLIENT_ERA";
const SCENARIO: &str = "MCP_CONFORMANCE_SCENARIO";
/// What the scenario gives along, JSON.
const CONTEXT: &str = "MCP_CONFORMANCE_CONTEXT";

const PROFILE: &str = "suite";

const TRIES: usize = 3;
/// Much longer than the scenario's server lets a client wait.
const PATIENCE: Duration = Duration::from_secs(5);

#[tokio::main]
async fn main() -> Result<()> {
    let server = std::env::args().nth(1).context("the first argument is the server's URL")?;
    let scenario = variable(SCENARIO)?;
    if scenario.starts_with("auth/") {
        let context = std::env::var(CONTEXT).unwrap_or_default();
        return suite_authorization::play(&server, &scenario, &context).await;
    }
    let hub = TestHub::start(&format!(
        "servers:\n  scripted: {{ url: {server:?} }}\nprofiles:\n  \
         {PROFILE}: {{ auth: none, servers: {{ scripted: {{ prefix: \"\" }} }} }}\n"
    ))
    .await?;
    play(&hub).await.with_context(|| hub.output())
}

async fn play(hub: &TestHub) -> Result<()> {
    let endpoint = hub.endpoint(PROFILE);
    hub.until_listed(&endpoint).await?;
    let user = match variable(ERA)?.as_str() {
        "legacy" => User::legacy(endpoint, ASKABLE).await?,
        "modern" => User::modern(endpoint, ASKABLE),
        other => bail!("{ERA} is {other:?}"),
    };
    match variable(SCENARIO)?.as_str() {
        "sse-retry" => patiently(&user).await,
        "http-custom-headers" => planned(&user).await,
        // Its server has nothing but the list.
        "json-schema-ref-no-deref" => user.list("tools/list", "tools").await.map(drop),
        "json-schema-2020-12-preservation" => echo_schema(&user).await,
        "sep-2322-client-request-state" => between_rounds(&user).await,
        _ => everything(&user).await,
    }
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set"))
}

/// Lists everything, and uses each thing once.
async fn everything(user: &User) -> Result<()> {
    for tool in user.list("tools/list", "tools").await? {
        user.call(&tool, arguments_for(&tool), None).await?;
    }
    for resource in user.list("resources/list", "resources").await? {
        user.request("resources/read", &json!({ "uri": resource["uri"] })).await?;
    }
    for prompt in user.list("prompts/list", "prompts").await? {
        user.request("prompts/get", &json!({ "name": prompt["name"] })).await?;
    }
    Ok(())
}

/// The server of `sse-retry` has one session for all, and answers a call on
/// whichever of its streams is opened next: on another session's when that is
/// just being made. Once they are all open, a call gets its answer.
async fn patiently(user: &User) -> Result<()> {
    for _ in 1..TRIES {
        if let Ok(done) = timeout(PATIENCE, everything(user)).await {
            return done;
        }
    }
    everything(user).await
}

/// Makes the calls that the scenario wants.
async fn planned(user: &User) -> Result<()> {
    let context: Value = serde_json::from_str(&variable(CONTEXT)?)?;
    let tools = user.list("tools/list", "tools").await?;
    let calls = context["toolCalls"].as_array().context("no toolCalls")?;
    ensure!(!calls.is_empty(), "no call: {context}");
    for call in calls {
        user.call(named(&tools, &call["name"])?, call["arguments"].clone(), None).await?;
    }
    Ok(())
}

/// Gives one tool the schema of another back as it came.
async fn echo_schema(user: &User) -> Result<()> {
    let tools = user.list("tools/list", "tools").await?;
    let echo = named(&tools, &"json_schema_echo".into())?;
    let other = tools.iter().find(|tool| tool["name"] != echo["name"]).context("no other tool")?;
    user.call(echo, json!({ "schema": other["inputSchema"] }), None).await?;
    Ok(())
}

/// Calls an unrelated tool while each of the others waits for an answer.
async fn between_rounds(user: &User) -> Result<()> {
    let tools = user.list("tools/list", "tools").await?;
    let unrelated = named(&tools, &"test_mrtr_unrelated".into())?;
    for tool in &tools {
        user.call(tool, json!({}), Some(unrelated)).await?;
    }
    Ok(())
}

fn named<'a>(tools: &'a [Value], name: &Value) -> Result<&'a Value> {
    tools.iter().find(|tool| tool["name"] == *name).with_context(|| format!("{name} is not listed"))
}

/// A value for each property of the tool's schema.
fn arguments_for(tool: &Value) -> Value {
    let properties = tool["inputSchema"]["properties"].as_object();
    let value = |schema: &Value| match schema["type"].as_str() {
        Some("number" | "integer") => json!(5),
        Some("boolean") => json!(true),
        Some("object") => json!({}),
        Some("array") => json!([]),
        Some("null") => Value::Null,
        _ => json!("text"),
    };
    properties.into_iter().flatten().map(|(name, schema)| (name.clone(), value(schema))).collect()
}
