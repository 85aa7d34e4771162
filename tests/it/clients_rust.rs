//! The Rust SDK, `rmcp`: another reading of the specification than the hub's.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ClientCapabilities, ClientConfig, GetSkillRequestParams,
    GetTaskParams, Implementation, ProtocolVersion, ReadResourceRequestParams, SkillResources, TaskPayload,
};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt as _};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use serde_json::json;
use trunkline_tests::hub::TestHub;
use trunkline_tests::reference_server::ReferenceServer;
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

/// Two servers that have the same skill and the same tools: what the SDK reads
/// of each must be what it promises.
#[tokio::test(flavor = "multi_thread")]
async fn rmcp_follows_a_task_and_verifies_skills() -> Result<()> {
    let (one, two) = (
        ReferenceServer::start(&["--era", "modern"]).await?,
        ReferenceServer::start(&["--era", "modern"]).await?,
    );
    let hub = TestHub::start(&format!(
        "servers:\n  one: {{ url: {:?} }}\n  two: {{ url: {:?} }}\nprofiles:\n  \
         team: {{ auth: api_key, servers: {{ one: {{}}, two: {{}} }} }}\n",
        one.url, two.url
    ))
    .await?;
    let target = Target::transparent_of(hub).await?;
    follow_and_verify(&target).await.with_context(|| target.log())
}

async fn follow_and_verify(target: &Target) -> Result<()> {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let config = StreamableHttpClientTransportConfig::with_uri(target.url.as_str()).auth_header(&target.key);
    let transport = StreamableHttpClientTransport::from_config(config);
    let capabilities = ClientCapabilities::builder().enable_tasks().build();
    let info = ClientConfig::new(capabilities, Implementation::new("rmcp", "1"));
    let client = info.serve_with_lifecycle(transport, modern()).await?;
    let arguments = json!({ "seconds": 1, "label": "x" }).as_object().cloned().context("an object")?;
    let call = CallToolRequestParams::new("two__slow_compute").with_arguments(arguments);
    let CallToolResponse::Task(begun) = client.call_tool_once(call).await? else { bail!("no task") };
    let end = Instant::now() + Duration::from_secs(20);
    loop {
        let task = client.get_task(GetTaskParams::new(begun.task.task_id.clone())).await?.task;
        ensure!(Instant::now() < end, "it works for ever: {task:?}");
        match task.payload {
            TaskPayload::Completed { .. } => break,
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    let skills = client.list_all_skills().await?;
    ensure!(skills.len() == 2, "{skills:?}");
    for skill in skills {
        ensure!(client.get_skill(GetSkillRequestParams::new(skill.uri.clone())).await?.skill == skill);
        let SkillResources::Files(files) = &skill.resources else { bail!("no files: {skill:?}") };
        for file in files {
            let read = client.read_resource(ReadResourceRequestParams::new(file.uri.clone())).await?;
            let read = serde_json::to_value(&read)?;
            let text = read["contents"][0]["text"].as_str().with_context(|| format!("no text: {read}"))?;
            file.verify(text.as_bytes())?;
        }
    }
    client.cancel().await?;
    Ok(())
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
