//! Standard input and output. One process serves one client, in the era in
//! which it opens.

mod gate;

use std::sync::Arc;

use anyhow::{Context as _, Result};
use rmcp::service::serve_server;
use rmcp::transport::async_rw::AsyncRwTransport;
use rmcp::transport::io::stdio_pipes;

use crate::server::Server;
use crate::shared::Shared;
use crate::stdio::gate::Gate;

/// Serves until the input ends.
///
/// # Errors
/// When the client opens with what belongs to no era.
pub(crate) async fn serve(shared: Arc<Shared>) -> Result<()> {
    let (input, output) = stdio_pipes();
    let transport = Gate::new(AsyncRwTransport::new_server(input, output), shared.conduct.era);
    let running = serve_server(Server::new(shared), transport).await.context("the client did not begin")?;
    running.waiting().await.context("the server stopped")?;
    Ok(())
}
