//! A server made with the Rust SDK behind the hub. It refuses what breaks the
//! rules of 2026-07-28 for headers, so it judges the hub as a client.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData, JsonObject,
    ListToolsResult, PaginatedRequestParams, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::RequestContext;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{RoleServer, ServerHandler};
use serde_json::json;
use tokio::net::TcpListener;
use trunkline_tests::connection::{Connection, call_params};
use trunkline_tests::hub::TestHub;
use trunkline_tests::mcp_client::{LegacyClient, ModernClient};

/// Has one tool whose argument `region` must be repeated in the header
/// `Mcp-Param-Region`.
#[derive(Debug, Clone)]
struct Regional;

impl Regional {
    fn tool() -> Tool {
        let schema = json!({
            "type": "object",
            "properties": {
                "region": { "type": "string", "x-mcp-header": "Region" },
                "count": { "type": "integer", "x-mcp-header": "Count" },
                "note": { "type": "string" },
            },
        });
        let schema: JsonObject = schema.as_object().cloned().unwrap_or_default();
        Tool::new("in_region", "Answers with its arguments.", Arc::new(schema))
    }
}

impl ServerHandler for Regional {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        (name == "in_region").then(Self::tool)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(vec![Self::tool()]))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = serde_json::Value::from(request.arguments.unwrap_or_default());
        Ok(CallToolResult::success(vec![ContentBlock::text(arguments.to_string())]).into())
    }
}

/// Serves `handler` on a free port until the test's runtime ends.
pub(crate) async fn serve<H: ServerHandler + Clone>(handler: H) -> Result<String> {
    let service = StreamableHttpService::new(
        move || Ok(handler.clone()),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default(),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/mcp", listener.local_addr()?);
    let router = axum::Router::new().nest_service("/mcp", service);
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}

/// Calls the tool through the hub, which is told to speak `era` to the server.
/// The name shown differs from the server's own, so the headers must be made
/// anew.
async fn called(era: &str, client_is_modern: bool) -> Result<()> {
    let url = serve(Regional).await?;
    let hub = TestHub::start(&format!(
        "servers:\n  region: {{ url: {url:?}, era: {era} }}\n\
         profiles:\n  team: {{ auth: none, servers: {{ region: {{}} }} }}\n"
    ))
    .await?;
    let endpoint = hub.endpoint("team");
    let arguments = [
        r#"{"region":"eu-west","count":7,"note":"plain"}"#,
        r#"{"note":"without what the headers repeat"}"#,
        r#"{"region":"Zürich \u00e9","count":-1}"#,
        r#"{"region":" =?base64?eA==?= ","count":0}"#,
    ];
    for arguments in arguments {
        let mut client = if client_is_modern {
            let mut endpoint = endpoint.clone();
            for (name, value) in client_headers(arguments)? {
                endpoint = endpoint.with_header(name, &value);
            }
            Connection::Modern(ModernClient::new(endpoint))
        } else {
            Connection::Legacy(LegacyClient::connect(endpoint.clone()).await?)
        };
        let params = call_params("region__in_region", arguments);
        let answer = client.request("tools/call", &params).await.with_context(|| hub.output())?;
        let said: serde_json::Value = serde_json::from_str(&answer.first_text().context(arguments)?)?;
        assert_eq!(said, serde_json::from_str::<serde_json::Value>(arguments)?);
    }
    Ok(())
}

/// What a client of 2026-07-28 that knows the tool's schema sends: values that
/// are not plain ASCII in Base64.
fn client_headers(arguments: &str) -> Result<Vec<(&'static str, String)>> {
    let arguments: serde_json::Value = serde_json::from_str(arguments)?;
    let mut headers = Vec::new();
    if let Some(region) = arguments["region"].as_str() {
        let encoded = match region {
            "eu-west" => region.to_owned(),
            "Zürich é" => "=?base64?WsO8cmljaCDDqQ==?=".to_owned(),
            _ => "=?base64?ID0/YmFzZTY0P2VBPT0/PSA=?=".to_owned(),
        };
        headers.push(("mcp-param-region", encoded));
    }
    if let Some(count) = arguments["count"].as_i64() {
        headers.push(("mcp-param-count", count.to_string()));
    }
    Ok(headers)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_modern_client_calls_a_modern_rmcp_server() -> Result<()> {
    called("modern", true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_legacy_client_calls_a_modern_rmcp_server() -> Result<()> {
    called("modern", false).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_modern_client_calls_a_legacy_rmcp_server() -> Result<()> {
    called("legacy", true).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_legacy_client_calls_an_rmcp_server_of_an_era_to_be_found() -> Result<()> {
    called("auto", false).await
}
