//! The hub as the client of the conformance suite's scenarios of
//! authorization: an operator connects the server in a browser, and a user
//! calls what it offers.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::hub::TestHub;
use crate::mcp_client::ModernClient;

const SERVER: &str = "scripted";
const PROFILE: &str = "suite";
/// What the suite expects a client id metadata document to be called.
const DOCUMENT: &str = "https://conformance-test.local/client-metadata.json";
/// How often a call that wants a consent gets one.
const CONSENTS: usize = 3;

/// Plays one scenario. What a server that lies is refused with is printed.
pub async fn play(server: &str, scenario: &str, context: &str) -> Result<()> {
    let context: Value = serde_json::from_str(context).unwrap_or_default();
    let auth = auth_for(scenario, &context);
    let configuration = json!({
        "outbound": { "allow": ["loopback"] },
        "oauth_client": { "metadata_url": DOCUMENT },
        "servers": { SERVER: { "url": server, "auth": auth } },
        "profiles": { PROFILE: { "auth": "none", "servers": { SERVER: { "prefix": "" } } } },
    });
    let hub = TestHub::start(&configuration.to_string()).await?;
    use_everything(&hub, auth["oauth"]["per"] == "shared").await.with_context(|| hub.output())
}

fn auth_for(scenario: &str, context: &Value) -> Value {
    let mut client = json!({});
    for name in ["client_id", "client_secret"] {
        if context[name].is_string() {
            client[name] = context[name].clone();
        }
    }
    if context["private_key_pem"].is_string() {
        client["client_key"] = context["private_key_pem"].clone();
    }
    if context["valid_jwt"].is_string() {
        client["workload_token"] = context["valid_jwt"].clone();
    }
    if scenario.contains("enterprise-managed-authorization") {
        client["idp"] = json!({
            "token_endpoint": context["idp_token_endpoint"],
            "client_id": context["idp_client_id"],
            "subject_token": context["idp_id_token"],
        });
        return json!({ "id_jag": client });
    }
    client["per"] = if scenario.contains("client-credentials") || scenario.contains("wif") {
        "service"
    } else {
        "shared"
    }
    .into();
    json!({ "oauth": client })
}

async fn use_everything(hub: &TestHub, wants_consent: bool) -> Result<()> {
    if wants_consent && !consent(hub).await? {
        return Ok(());
    }
    let client = ModernClient::new(hub.endpoint(PROFILE));
    let mut tools = client.request("tools/list", "{}").await?.result_value()?;
    for _ in 0..CONSENTS {
        // What a list lacks is said with it, and why.
        let gaps = tools["_meta"]["io.trunkline/servers"].to_string();
        if !wants_consent || !gaps.contains("needs sign-in") || !consent(hub).await? {
            break;
        }
        tools = client.request("tools/list", "{}").await?.result_value()?;
    }
    hub.until_listed(&hub.endpoint(PROFILE)).await?;
    for tool in tools["tools"].as_array().into_iter().flatten() {
        let params = json!({ "name": tool["name"], "arguments": {} }).to_string();
        for _ in 0..CONSENTS {
            let result = client.request("tools/call", &params).await?.result_value()?;
            let refused = result["isError"] == true && result.to_string().contains("is not connected");
            if !refused || !wants_consent || !consent(hub).await? {
                break;
            }
        }
    }
    Ok(())
}

/// An operator's consent; whether it came about.
async fn consent(hub: &TestHub) -> Result<bool> {
    let printed = hub.cli(&["connection", "connect", SERVER, "--json"]).await?;
    let link: Value = serde_json::from_str(&printed)?;
    let page = Browser::new().open(link["url"].as_str().context("no link")?).await?;
    Ok(page.status.is_success())
}
