//! Streamable HTTP: the library's service at `/mcp`, with two layers of ours.

mod gate;
mod response;

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::middleware;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use tokio::net::TcpListener;

use crate::server::Server;
use crate::shared::Shared;
pub(crate) use crate::streamable_http::response::ResponseControl;

const PATH: &str = "/mcp";

/// Pages of other sites must not reach a server on the user's own machine.
const ORIGINS: [&str; 3] = ["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"];

/// Serves until the process ends. The first line on standard output is the URL.
///
/// # Errors
/// When `address` is not this machine's own, or taken.
pub(crate) async fn serve(address: SocketAddr, shared: Arc<Shared>) -> Result<()> {
    ensure!(address.ip().is_loopback(), "{address} is no loopback address: this server trusts everyone");
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    let mut output = io::stdout();
    writeln!(output, "listening on http://{}{PATH}", listener.local_addr()?)?;
    output.flush()?;
    axum::serve(listener, router(shared)).await?;
    Ok(())
}

fn router(shared: Arc<Shared>) -> Router {
    let conduct = &shared.conduct;
    let config = StreamableHttpServerConfig::default()
        .with_allowed_origins(ORIGINS)
        .with_json_response(conduct.json_responses)
        // Without sessions the service answers GET and DELETE with 405, as a modern server does.
        .with_legacy_session_mode(conduct.era.has_legacy())
        .with_stateless_protocol_metadata_required(!conduct.era.has_legacy());
    let era = conduct.era;
    let service = StreamableHttpService::new(
        move || Ok(Server::new(Arc::clone(&shared))),
        Arc::new(LocalSessionManager::default()),
        config,
    );
    Router::new()
        .nest_service(PATH, service)
        // Next to the service, so that it puts its handle into a request that the gate has let through.
        .layer(middleware::from_fn(response::control))
        // Outermost: what the era does not know must not reach the service, which knows both.
        .layer(middleware::from_fn_with_state(era, gate::keep))
}
