//! Real client programs sign in through an identity provider, use tools and are
//! ended by the operator.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::process::Command;
use trunkline_tests::client_program::Client;
use trunkline_tests::dialogue::Dialogue;
use trunkline_tests::http::{Endpoint, free_port};
use url::Url;

use super::company::Company;

/// The URL that a program wants opened, out of a line that it writes.
pub(super) fn authorize_url_in(line: &str, base: &str) -> Option<String> {
    let start = line.find(&format!("{base}/oauth/authorize?"))?;
    let is_part = |c: &char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '<' | '>');
    Some(line[start..].chars().take_while(is_part).collect())
}

/// A company whose clients register themselves.
async fn company(client: &Client) -> Result<Company> {
    Company::start(&client.packages, "authorization: { client_documents: false }\n", &[]).await
}

/// A document that describes the Inspector, on a site of this machine with a
/// certificate of its own authority.
struct DocumentSite {
    url: String,
    /// The file with the authority's certificate.
    certificate: String,
    _server: Dialogue,
}

impl DocumentSite {
    async fn start(client: &Client) -> Result<Self> {
        let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("it/scripts/https_document.py");
        let mut command = client.command(&client.packages.python());
        command.arg(script).arg(client.home());
        let mut server = Dialogue::start(command)?;
        let url = server.find(|line| line.strip_prefix("serving ").map(str::to_owned)).await?;
        let certificate = client.home().join("authority.pem").to_string_lossy().into_owned();
        Ok(Self { url, certificate, _server: server })
    }
}

fn claude(client: &Client) -> Command {
    let mut command = client.command(&client.packages.npm_bin("claude"));
    let off = ["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "DISABLE_AUTOUPDATER", "DISABLE_TELEMETRY"];
    command.envs(off.map(|name| (name, "1")));
    command
}

/// `command` in a terminal of its own.
fn in_terminal(client: &Client, command: &Command) -> Command {
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("it/scripts/terminal.py");
    let mut terminal = client.command(&client.packages.python());
    terminal.arg(script).arg(command.as_std().get_program()).args(command.as_std().get_args());
    for (name, value) in command.as_std().get_envs() {
        if let Some(value) = value {
            terminal.env(name, value);
        }
    }
    terminal.env("TERM", "xterm-256color");
    terminal
}

#[tokio::test(flavor = "multi_thread")]
async fn claude_code_signs_in_without_a_browser_and_is_ended_by_the_operator() -> Result<()> {
    let Some(client) = Client::or_skip("claude_code_signs_in_without_a_browser")? else { return Ok(()) };
    let mut company = company(&client).await?;
    let mut add = claude(&client);
    add.args(["mcp", "add", "--transport", "http", "hub", &company.stage.hub.url("team"), "-s", "user"]);
    client.run(add).await?.success()?;
    let mut login = claude(&client);
    login.args(["mcp", "login", "hub", "--no-browser"]);
    let mut login = Dialogue::start(in_terminal(&client, &login))?;
    let base = company.stage.hub.base().to_owned();
    let url = login.find(|line| authorize_url_in(line.split('\u{7}').next()?, &base)).await?;
    let request: Url = url.trim_end_matches('\u{1b}').parse()?;
    let redirect = super::stage::parameter(&request, "redirect_uri").context("no redirect")?;
    company.stop_at(&redirect);
    let sent_to = company.allow_at(request.as_str()).await?;
    login.type_text(&sent_to).await?;
    login.type_text("\r").await?;
    login.find(|line| line.contains("Authenticated").then_some(())).await?;
    assert!(health(&client).await?.contains("Connected"));

    company.end(&client).await?;
    let after = health(&client).await?;
    assert!(after.contains("Needs authentication"), "{after}");
    Ok(())
}

async fn health(client: &Client) -> Result<String> {
    let mut list = claude(client);
    list.args(["mcp", "list"]);
    client.run(list).await?.success()
}

#[tokio::test(flavor = "multi_thread")]
async fn codex_signs_in() -> Result<()> {
    let Some(client) = Client::or_skip("codex_signs_in")? else { return Ok(()) };
    let mut company = company(&client).await?;
    let folder = client.home().join(".codex");
    std::fs::create_dir_all(&folder)?;
    let configuration = format!("[mcp_servers.hub]\nurl = {:?}\n", company.stage.hub.url("team"));
    std::fs::write(folder.join("config.toml"), configuration)?;
    let codex = || {
        let mut command = client.command(&client.packages.npm_bin("codex"));
        command.env("CODEX_HOME", &folder);
        command
    };
    let mut login = codex();
    login.args(["mcp", "login", "hub"]);
    let mut login = Dialogue::start(login)?;
    company.allow(&mut login).await?;
    let (done, written) = login.end().await?;
    assert!(done && written.contains("Successfully logged in"), "{written}");
    let mut list = codex();
    list.args(["mcp", "list", "--json"]);
    let listed: Value = serde_json::from_str(&client.run(list).await?.success()?)?;
    assert_eq!(listed[0]["auth_status"], "o_auth", "{listed}");
    company.end(&client).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mcp_remote_signs_in_and_lists() -> Result<()> {
    let Some(client) = Client::or_skip("mcp_remote_signs_in_and_lists")? else { return Ok(()) };
    let mut company = company(&client).await?;
    let mut command = client.command(&client.packages.npm_bin("mcp-remote-client"));
    command.env("MCP_REMOTE_CONFIG_DIR", client.home().join("mcp-remote")).env("BROWSER", "/bin/true");
    command.args([&company.stage.hub.url("team"), "--allow-http"]);
    let mut program = Dialogue::start(command)?;
    company.allow(&mut program).await?;
    program.find(|line| line.contains("sample://readme").then_some(())).await?;
    company.end(&client).await
}

/// The Inspector's command that lists tools. It keeps its token in a file, and
/// listens on a port of its own so that several run beside each other.
async fn inspector(client: &Client, url: &str, more: &[&str]) -> Result<Command> {
    let callback = format!("http://127.0.0.1:{}/oauth/callback", free_port().await?);
    let mut command = client.command(&client.packages.npm_bin("mcp-inspector"));
    command.args(["--cli", "--server-url", url, "--transport", "http"]);
    command.args(["--method", "tools/list", "--format", "json"]).args(more);
    command.args(["--callback-url", &callback]).env("BROWSER", "/bin/true");
    command.env("MCP_INSPECTOR_SECRET_STORE", "file");
    Ok(in_terminal(client, &command))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inspector_signs_in_and_lists() -> Result<()> {
    let Some(client) = Client::or_skip("the_inspector_signs_in_and_lists")? else { return Ok(()) };
    let mut company = company(&client).await?;
    let mut program = Dialogue::start(inspector(&client, &company.stage.hub.url("team"), &[]).await?)?;
    company.allow(&mut program).await?;
    let (done, written) = program.end().await?;
    assert!(done && written.contains("\"tools\""), "{written}");
    company.end(&client).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inspector_signs_in_with_a_document() -> Result<()> {
    let Some(client) = Client::or_skip("the_inspector_signs_in_with_a_document")? else { return Ok(()) };
    let site = DocumentSite::start(&client).await?;
    let trusted = [("SSL_CERT_FILE", site.certificate.as_str())];
    let mut company = Company::start(&client.packages, "outbound: { allow: [loopback] }\n", &trusted).await?;
    let document = ["--client-metadata-url", site.url.as_str()];
    let mut program = Dialogue::start(inspector(&client, &company.stage.hub.url("team"), &document).await?)?;
    company.allow(&mut program).await?;
    let (done, written) = program.end().await?;
    assert!(done && written.contains("\"tools\""), "{written}");
    let listed = company.stage.hub.cli(&["client", "list", "--json"]).await?;
    assert!(listed.contains(&site.url), "{listed}");
    company.end(&client).await
}

#[tokio::test(flavor = "multi_thread")]
async fn opencode_signs_in() -> Result<()> {
    let Some(client) = Client::or_skip("opencode_signs_in")? else { return Ok(()) };
    let mut company = company(&client).await?;
    let configuration = serde_json::json!({
        "mcp": { "hub": { "type": "remote", "url": company.stage.hub.url("team") } },
    });
    std::fs::write(client.home().join("opencode.json"), configuration.to_string())?;
    let mut command = client.command(&client.packages.npm_file("opencode-linux-x64/bin/opencode"));
    command.args(["mcp", "auth", "hub"]).env("BROWSER", "/bin/true");
    let mut program = Dialogue::start(in_terminal(&client, &command))?;
    company.allow(&mut program).await?;
    program.find(|line| line.to_lowercase().contains("success").then_some(())).await?;
    company.end(&client).await
}

async fn python_signs_in(test: &str, kind: &str) -> Result<()> {
    let Some(client) = Client::or_skip(test)? else { return Ok(()) };
    let mut company = company(&client).await?;
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("it/scripts/python_login.py");
    let mut command = client.command(&client.packages.python());
    command.arg(script).args([&company.stage.hub.url("team"), kind, "echo", r#"{"text":"hi"}"#]);
    let mut program = Dialogue::start(command)?;
    company.stop_at("http://localhost:");
    let sent_to = company.allow(&mut program).await?;
    if kind == "mcp" {
        program.type_text(&format!("{sent_to}\n")).await?;
    } else {
        deliver(&sent_to).await?;
    }
    let seen = program.find(|line| line.starts_with('{').then(|| line.to_owned())).await?;
    let seen: Value = serde_json::from_str(&seen)?;
    ensure!(seen["tools"].as_array().is_some_and(|tools| !tools.is_empty()), "{seen}");
    company.revoke().await?;
    program.type_text("again\n").await?;
    // It gets a 401, its refresh token is none any more, and it asks Ann again.
    let base = company.stage.hub.base().to_owned();
    program.find(|line| authorize_url_in(line, &base)).await?;
    Ok(())
}

/// Goes where the browser was sent, once the program listens there: it begins
/// to only after it has shown what to open.
pub(super) async fn deliver(url: &str) -> Result<()> {
    for _ in 0..200 {
        if Endpoint::new(url).get(&[]).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    bail!("nobody listens at {url}")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_signs_in_and_calls() -> Result<()> {
    python_signs_in("the_python_sdk_signs_in_and_calls", "mcp").await
}

#[tokio::test(flavor = "multi_thread")]
async fn fastmcp_signs_in_and_calls() -> Result<()> {
    python_signs_in("fastmcp_signs_in_and_calls", "fastmcp").await
}
