//! The Rust SDK, `rmcp`: another reading of the specification than the hub's.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use rmcp::model::{CallToolRequestParams, ProtocolVersion};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt as _};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::json;
use trunkline_tests::hub::TestHub;
use trunkline_tests::scripted::{Eras, Script, ScriptedServer};

use crate::target::Target;

/// Lists and calls the tools of a scripted server with 25 tools.
pub(crate) async fn use_scripted(target: &Target, lifecycle: ClientLifecycleMode) -> Result<()> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    // Another test of this process may have installed it.
    drop(provider.install_default());
    let config = StreamableHttpClientTransportConfig::with_uri(target.url.as_str()).auth_header(&target.key);
    let transport = StreamableHttpClientTransport::from_config(config);
    let client = ().serve_with_lifecycle(transport, lifecycle).await?;
    let tools = client.list_all_tools().await?;
    assert_eq!(tools.len(), 25);
    let schema = serde_json::Value::Object(Arc::unwrap_or_clone(tools[3].input_schema.clone()));
    assert_eq!(schema["properties"]["text"]["x-vendor"], 3);
    let arguments = json!({ "text": "hi" }).as_object().cloned().context("an object")?;
    let called = client.call_tool(CallToolRequestParams::new("tool_007").with_arguments(arguments)).await?;
    assert_eq!(serde_json::to_value(&called)?["content"][0]["text"], "scripted/tool_007: hi");
    client.cancel().await?;
    Ok(())
}

async fn hub_serves(eras: Eras, lifecycle: ClientLifecycleMode) -> Result<()> {
    let server = ScriptedServer::start(Script::new("scripted", 25).eras(eras).page(10)).await?;
    let hub = TestHub::start(&format!(
        "servers:\n  scripted: {{ url: {:?} }}\nprofiles:\n  \
         team: {{ auth: api_key, servers: {{ scripted: {{ prefix: \"\" }} }} }}\n",
        server.url
    ))
    .await?;
    let target = Target::transparent_of(hub).await?;
    use_scripted(&target, lifecycle).await.with_context(|| target.log())
}

pub(crate) fn modern() -> ClientLifecycleMode {
    ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] }
}

#[tokio::test(flavor = "multi_thread")]
async fn rmcp_speaks_the_legacy_era_to_a_legacy_server() -> Result<()> {
    hub_serves(Eras::Legacy, ClientLifecycleMode::Initialize).await
}

#[tokio::test(flavor = "multi_thread")]
async fn rmcp_speaks_the_modern_era_to_a_modern_server() -> Result<()> {
    hub_serves(Eras::Modern, modern()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn rmcp_speaks_the_legacy_era_to_a_modern_server() -> Result<()> {
    hub_serves(Eras::Modern, ClientLifecycleMode::Initialize).await
}

#[tokio::test(flavor = "multi_thread")]
async fn rmcp_speaks_the_modern_era_to_a_legacy_server() -> Result<()> {
    hub_serves(Eras::Legacy, modern()).await
}
