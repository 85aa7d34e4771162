//! The Rust SDK on both sides of the hub: what its client sends, its server
//! gets, and the other way round, as far as the SDK can hold it.

use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ErrorData, JsonObject, ListToolsResult,
    PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{ClientLifecycleMode, ClientServiceExt as _, RequestContext};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{RoleServer, ServerHandler};
use serde_json::{Map, Value};
use tokio::runtime::Runtime;
use trunkline_tests::hub::TestHub;

use super::check;
use crate::clients_rust::modern;
use crate::upstream_rust::serve;

const CASES: u32 = 48;

/// Answers with its arguments.
#[derive(Debug, Clone)]
struct Mirror;

impl ServerHandler for Mirror {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let schema = Arc::new(JsonObject::from_iter([("type".to_owned(), Value::from("object"))]));
        Ok(ListToolsResult::with_all_items(vec![Tool::new("mirror", "Answers with its arguments.", schema)]))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        Ok(CallToolResult::structured(Value::from(request.arguments.unwrap_or_default())).into())
    }
}

/// What `serde_json` can hold.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // Fractions that every parser reads as the same.
        any::<i32>().prop_map(|number| Value::from(f64::from(number) / 8.0)),
        "\\PC*".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 32, 5, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::from),
            btree_map(".{0,8}", inner, 0..5).prop_map(|map| Value::Object(Map::from_iter(map))),
        ]
    })
}

fn passes(era: &str, lifecycle: ClientLifecycleMode) -> Result<()> {
    let runtime = Runtime::new()?;
    // Another test of this process may have installed it.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let (hub, client) = runtime.block_on(async {
        let url = serve(Mirror).await?;
        let hub = TestHub::start(&format!(
            "servers:\n  mirror: {{ url: {url:?}, era: {era} }}\nprofiles:\n  \
             team: {{ auth: none, servers: {{ mirror: {{}} }} }}\n"
        ))
        .await?;
        let config = StreamableHttpClientTransportConfig::with_uri(hub.url("team"));
        let transport = StreamableHttpClientTransport::from_config(config);
        anyhow::Ok((hub, ().serve_with_lifecycle(transport, lifecycle).await?))
    })?;
    let arguments = btree_map(".{0,8}", value(), 0..6).prop_map(JsonObject::from_iter);
    check(CASES, &arguments, |arguments| {
        let params = CallToolRequestParams::new("mirror__mirror").with_arguments(arguments.clone());
        let called = runtime.block_on(client.call_tool(params))?;
        let structured = called.structured_content.context("no structured content")?;
        ensure!(structured == Value::from(arguments.clone()), "{arguments:?} became {structured}");
        Ok(())
    })
    .with_context(|| hub.output())?;
    runtime.block_on(client.cancel())?;
    Ok(())
}

#[test]
fn rmcp_talks_to_rmcp_between_legacy_and_legacy() -> Result<()> {
    passes("legacy", ClientLifecycleMode::Initialize)
}

#[test]
fn rmcp_talks_to_rmcp_between_legacy_and_modern() -> Result<()> {
    passes("modern", ClientLifecycleMode::Initialize)
}

#[test]
fn rmcp_talks_to_rmcp_between_modern_and_legacy() -> Result<()> {
    passes("legacy", modern())
}

#[test]
fn rmcp_talks_to_rmcp_between_modern_and_modern() -> Result<()> {
    passes("modern", modern())
}
