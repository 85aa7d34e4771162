//! Long lists come compressed to clients that take it.

use std::io::Read as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use flate2::read::GzDecoder;
use trunkline_tests::client_program::Client;
use trunkline_tests::http::Endpoint;
use trunkline_tests::hub::TestHub;
use trunkline_tests::scripted::{Script, ScriptedServer};

const TOOLS: usize = 300;
const PATIENCE: Duration = Duration::from_secs(10);
const LIST: &str = r#"{"jsonrpc":"2.0","id":"a\"b","method":"tools/list","params":{}}"#;
const MODERN: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
const MODERN_HEADERS: [(&str, &str); 2] =
    [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/list")];

async fn hub() -> Result<(ScriptedServer, TestHub)> {
    let server = ScriptedServer::start(Script::new("scripted", TOOLS)).await?;
    let hub = TestHub::start(&format!(
        "servers:\n  s: {{ url: {:?} }}\nprofiles:\n  p: {{ auth: none, servers: {{ s: {{}} }} }}\n",
        server.url
    ))
    .await?;
    Ok((server, hub))
}

/// The list as it comes to a client that takes gzip, once it comes so, and
/// the size in which it came.
async fn unpacked(endpoint: &Endpoint, body: &str, headers: &[(&str, &str)]) -> Result<(String, usize)> {
    let headers = [headers, &[("accept-encoding", "deflate, gzip;q=0.5")]].concat();
    let asked = Instant::now();
    loop {
        let answer = endpoint.post(body.to_owned(), &headers).await?.expect_status(200)?;
        if answer.header("content-encoding") == Some("gzip") {
            let mut text = String::new();
            GzDecoder::new(&*answer.body).read_to_string(&mut text)?;
            return Ok((text, answer.body.len()));
        }
        ensure!(asked.elapsed() < PATIENCE, "it never came compressed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_list_is_the_list() -> Result<()> {
    let (_server, hub) = hub().await?;
    let client = trunkline_tests::mcp_client::LegacyClient::connect(hub.endpoint("p")).await?;
    client.request("tools/list", "{}").await?;
    let session = client.session().context("no session")?.to_owned();
    let legacy = [("mcp-session-id", session.as_str())];
    for (body, headers) in [(LIST, &legacy[..]), (MODERN, &MODERN_HEADERS[..])] {
        let endpoint = hub.endpoint("p");
        let plain = endpoint.post(body.to_owned(), headers).await?.expect_status(200)?;
        assert_eq!(plain.header("content-encoding"), None, "nobody asked for it");
        let (text, bytes) = unpacked(&endpoint, body, headers).await?;
        assert_eq!(text, plain.text()?);
        assert!(bytes * 5 < text.len(), "{bytes} bytes instead of {}", text.len());
        let refusing = [headers, &[("accept-encoding", "gzip;q=0, br")]].concat();
        let again = endpoint.post(body.to_owned(), &refusing).await?;
        assert_eq!(again.header("content-encoding"), None);
        assert_eq!(again.body, plain.body);
    }
    client.delete().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typescript_client_reads_compressed_lists() -> Result<()> {
    let Some(client) = Client::or_skip("a_typescript_client_reads_compressed_lists")? else { return Ok(()) };
    let (_server, hub) = hub().await?;
    let seen = client.node_script("lists_again.mjs", &[&hub.url("p"), "20"]).await?;
    let lists = seen["tools"].as_array().context("no lists")?;
    assert!(lists.len() == 20 && lists.iter().all(|count| *count == TOOLS), "{seen}");
    assert_eq!(seen["encodings"][19], "gzip", "{seen}");
    Ok(())
}
