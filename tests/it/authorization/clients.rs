//! Real client programs sign in, use tools and are ended by the operator.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tokio::process::Command;
use trunkline_tests::client_program::Client;
use trunkline_tests::dialogue::Dialogue;
use trunkline_tests::http::Endpoint;
use url::Url;

use super::stage::Stage;

/// The URL that a program wants opened, out of a line that it writes.
pub(super) fn authorize_url_in(line: &str, base: &str) -> Option<String> {
    let start = line.find(&format!("{base}/oauth/authorize?"))?;
    let is_part = |c: &char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '<' | '>');
    Some(line[start..].chars().take_while(is_part).collect())
}

/// Ann opens what the program shows and allows it; gives the URL that her
/// browser is sent to, if the program does not listen there.
async fn allow(stage: &mut Stage, program: &mut Dialogue) -> Result<String> {
    let base = stage.hub.base().to_owned();
    let url = program.find(|line| authorize_url_in(line, &base)).await;
    let url = url.with_context(|| stage.hub.output())?;
    let page = stage.browser.open(&url).await?;
    let answered = stage.browser.submit(&page.form("consent")?, "allow").await?;
    Ok(answered.left_for.unwrap_or_else(|| answered.url.to_string()))
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
    let mut stage = Stage::start().await?;
    let mut add = claude(&client);
    add.args(["mcp", "add", "--transport", "http", "hub", &stage.hub.url("team"), "-s", "user"]);
    client.run(add).await?.success()?;
    let mut login = claude(&client);
    login.args(["mcp", "login", "hub", "--no-browser"]);
    let mut login = Dialogue::start(in_terminal(&client, &login))?;
    let base = stage.hub.base().to_owned();
    let url = login.find(|line| authorize_url_in(line.split('\u{7}').next()?, &base)).await?;
    let request: Url = url.trim_end_matches('\u{1b}').parse()?;
    let redirect = super::stage::parameter(&request, "redirect_uri").context("no redirect")?;
    stage.browser = std::mem::take(&mut stage.browser).stopping_at(&redirect);
    let page = stage.browser.open(request.as_str()).await?;
    let answered = stage.browser.submit(&page.form("consent")?, "allow").await?;
    let sent_to = answered.left_for.context("not sent back")?;
    login.type_text(&sent_to).await?;
    login.type_text("\r").await?;
    login.find(|line| line.contains("Authenticated").then_some(())).await?;
    assert!(health(&client).await?.contains("Connected"));

    for grant in stage.live_grants().await? {
        stage.hub.cli(&["client", "revoke", &grant]).await?;
    }
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
    let mut stage = Stage::start().await?;
    let folder = client.home().join(".codex");
    std::fs::create_dir_all(&folder)?;
    let configuration = format!("[mcp_servers.hub]\nurl = {:?}\n", stage.hub.url("team"));
    std::fs::write(folder.join("config.toml"), configuration)?;
    let codex = || {
        let mut command = client.command(&client.packages.npm_bin("codex"));
        command.env("CODEX_HOME", &folder);
        command
    };
    let mut login = codex();
    login.args(["mcp", "login", "hub"]);
    let mut login = Dialogue::start(login)?;
    allow(&mut stage, &mut login).await?;
    let (done, written) = login.end().await?;
    assert!(done && written.contains("Successfully logged in"), "{written}");
    let mut list = codex();
    list.args(["mcp", "list", "--json"]);
    let listed: Value = serde_json::from_str(&client.run(list).await?.success()?)?;
    assert_eq!(listed[0]["auth_status"], "o_auth", "{listed}");
    assert_eq!(stage.live_grants().await?.len(), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mcp_remote_signs_in_and_lists() -> Result<()> {
    let Some(client) = Client::or_skip("mcp_remote_signs_in_and_lists")? else { return Ok(()) };
    let mut stage = Stage::start().await?;
    let mut command = client.command(&client.packages.npm_bin("mcp-remote-client"));
    command.env("MCP_REMOTE_CONFIG_DIR", client.home().join("mcp-remote")).env("BROWSER", "/bin/true");
    command.args([&stage.hub.url("team"), "--allow-http"]);
    let mut program = Dialogue::start(command)?;
    allow(&mut stage, &mut program).await?;
    program.find(|line| line.contains("sample://readme").then_some(())).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inspector_signs_in_and_lists() -> Result<()> {
    let Some(client) = Client::or_skip("the_inspector_signs_in_and_lists")? else { return Ok(()) };
    let mut stage = Stage::start().await?;
    let mut command = client.command(&client.packages.npm_bin("mcp-inspector"));
    command.args(["--cli", "--server-url", &stage.hub.url("team"), "--transport", "http"]);
    command.args(["--method", "tools/list", "--format", "json"]);
    command.env("BROWSER", "/bin/true");
    let mut program = Dialogue::start(in_terminal(&client, &command))?;
    allow(&mut stage, &mut program).await?;
    let (done, written) = program.end().await?;
    assert!(done && written.contains("\"tools\""), "{written}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn opencode_signs_in() -> Result<()> {
    let Some(client) = Client::or_skip("opencode_signs_in")? else { return Ok(()) };
    let mut stage = Stage::start().await?;
    let configuration = serde_json::json!({
        "mcp": { "hub": { "type": "remote", "url": stage.hub.url("team") } },
    });
    std::fs::write(client.home().join("opencode.json"), configuration.to_string())?;
    let mut command = client.command(&client.packages.npm_file("opencode-linux-x64/bin/opencode"));
    command.args(["mcp", "auth", "hub"]).env("BROWSER", "/bin/true");
    let mut program = Dialogue::start(in_terminal(&client, &command))?;
    allow(&mut stage, &mut program).await?;
    program.find(|line| line.to_lowercase().contains("success").then_some(())).await?;
    Ok(())
}

async fn python_signs_in(test: &str, kind: &str) -> Result<()> {
    let Some(client) = Client::or_skip(test)? else { return Ok(()) };
    let mut stage = Stage::start().await?;
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("it/scripts/python_login.py");
    let mut command = client.command(&client.packages.python());
    command.arg(script).args([&stage.hub.url("team"), kind, "echo", r#"{"text":"hi"}"#]);
    let mut program = Dialogue::start(command)?;
    stage.browser = std::mem::take(&mut stage.browser).stopping_at("http://localhost:");
    let sent_to = allow(&mut stage, &mut program).await?;
    if kind == "mcp" {
        program.type_text(&format!("{sent_to}\n")).await?;
    } else {
        deliver(&sent_to).await?;
    }
    let seen = program.find(|line| line.starts_with('{').then(|| line.to_owned())).await?;
    let seen: Value = serde_json::from_str(&seen)?;
    ensure!(seen["tools"].as_array().is_some_and(|tools| !tools.is_empty()), "{seen}");
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
