//! `trunkline proxy`: lets a client that speaks MCP on standard input and
//! output alone use an endpoint of the hub.
//!
//! Each line from the client becomes one POST of streamable HTTP, each
//! message of an answer becomes one line; messages are passed as they are.

mod answer;
mod envelope;
mod failure;
mod hub;
mod modern;
mod relay;
mod session;

use std::sync::Arc;

use anyhow::{Context as _, bail};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use tokio::io::{self, AsyncRead, AsyncWrite};
use trunkline_web::Egress;
use trunkline_web::egress::Target;
use url::Url;

use super::connect::variable_name;
use crate::env;
use crate::json_lines::{JsonLines, LONGEST_LINE, Line, outbox};
use crate::output::Outcome;
use relay::Relay;

/// Bridge a client that only speaks stdio to an MCP endpoint.
///
/// Reads one JSON-RPC message per line from standard input and writes answers to standard output, until the input
/// ends and every answer is out.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  TRUNKLINE_KEY=tlk_… trunkline proxy http://127.0.0.1:7400/mcp/engineering
  trunkline proxy https://hub.example.org/mcp/ops --key-env OPS_KEY --header 'X-Team: ops'

In a client's configuration: {\"command\": \"trunkline\", \"args\": [\"proxy\", URL], \"env\": {\"TRUNKLINE_KEY\": \"tlk_…\"}}")]
pub(super) struct ProxyArgs {
    /// The endpoint, such as <http://127.0.0.1:7400/mcp/engineering>.
    url: Url,
    /// The environment variable that holds the API key; it need not be set when the endpoint asks for none.
    #[arg(long, value_name = "NAME", default_value = "TRUNKLINE_KEY", value_parser = variable_name)]
    key_env: String,
    /// A further header for every request; may be repeated.
    #[arg(long = "header", value_name = "NAME: VALUE", value_parser = parse_header)]
    headers: Vec<(HeaderName, HeaderValue)>,
}

/// Relays until standard input ends.
///
/// # Errors
/// The URL or the key cannot be used, or standard input or output failed.
pub(super) async fn run(args: &ProxyArgs) -> anyhow::Result<Outcome> {
    if !matches!(args.url.scheme(), "http" | "https") {
        bail!("the URL of an endpoint starts with http:// or https://");
    }
    let key = env::lookup(&args.key_env).filter(|key| !key.is_empty());
    let mut headers = HeaderMap::new();
    if let Some(key) = &key {
        let mut value = HeaderValue::try_from(format!("Bearer {key}"))
            .with_context(|| format!("the value of {} cannot be a key", args.key_env))?;
        value.set_sensitive(true);
        headers.insert(header::AUTHORIZATION, value);
    }
    for (name, value) in &args.headers {
        headers.append(name, value.clone());
    }
    let egress = Egress::upstream()?;
    let endpoint = Endpoint { target: egress.target(&args.url)?, headers, key_env: args.key_env.clone() };
    relay(endpoint, egress, io::stdin(), io::stdout()).await?;
    Ok(Outcome::Done)
}

/// Where messages go.
#[derive(Debug)]
struct Endpoint {
    target: Target,
    /// Sent with every request.
    headers: HeaderMap,
    /// Where the key comes from, for messages about it.
    key_env: String,
}

async fn relay<R, W>(endpoint: Endpoint, egress: Egress, input: R, output: W) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (sender, writing) = outbox(output);
    let reading = async {
        let mut relay = Relay::new(Arc::new(endpoint), egress, sender);
        let mut lines = JsonLines::new(input, LONGEST_LINE);
        while let Some(line) = lines.next().await? {
            match line {
                Line::Message(message) => relay.send(message).await,
                Line::TooLong => relay.refuse_long_line().await,
            }
        }
        relay.finish().await;
        Ok(())
    };
    tokio::try_join!(reading, writing).map(|((), ())| ())
}

fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text.split_once(':').ok_or("a header is written NAME: VALUE")?;
    let name = HeaderName::try_from(name.trim()).map_err(|error| error.to_string())?;
    let mut value = HeaderValue::try_from(value.trim()).map_err(|error| error.to_string())?;
    value.set_sensitive(true);
    Ok((name, value))
}

#[cfg(test)]
mod tests;
