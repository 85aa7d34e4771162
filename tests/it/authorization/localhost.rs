//! A hub of this machine alone is called `localhost` by some clients and
//! `127.0.0.1` by others, and each finds what it was given (RFC 9728 section 3.3).

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::process::Command;
use trunkline_tests::browser::Browser;
use trunkline_tests::client_program::Client;
use trunkline_tests::dialogue::Dialogue;
use trunkline_tests::http::Endpoint;

use super::stage::{CALLBACK, CHALLENGE, Stage, VERIFIER, parameter};

/// The hub by its other name, and a browser in which Ann is signed in there.
async fn by_name(stage: &Stage) -> Result<(String, Browser)> {
    let local = stage.hub.base().replace("127.0.0.1", "localhost");
    ensure!(local != stage.hub.base(), "{local}");
    let link = stage.hub.cli(&["login", "link", "ann"]).await?;
    let mut browser = Browser::new()
        .stopping_at("http://127.0.0.1:1/")
        // Where the scripts want to be called back.
        .stopping_at("http://localhost:33419/")
        .stopping_at("http://localhost:33420/");
    let page = browser.open(&link.trim().replace(stage.hub.base(), &local)).await?;
    browser.submit(&page.form("/login/link/")?, "").await?;
    Ok((local, browser))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_name_names_itself_and_tokens_are_good_at_both() -> Result<()> {
    let stage = Stage::start().await?;
    let (local, mut browser) = by_name(&stage).await?;
    let at = |path: &str| Endpoint::new(&format!("{local}{path}"));
    let refused = at("/mcp/team").post("{}".to_owned(), &[]).await?.expect_status(401)?;
    let challenge = refused.header("www-authenticate").unwrap_or_default();
    let place = "/.well-known/oauth-protected-resource/mcp/team";
    assert!(challenge.contains(&format!("\"{local}{place}\"")), "{challenge}");
    let resource = at(place).get(&[]).await?.json()?;
    assert_eq!(resource["resource"], format!("{local}/mcp/team"));
    assert_eq!(resource["authorization_servers"], json!([local]));
    let server = at("/.well-known/oauth-authorization-server").get(&[]).await?.json()?;
    assert_eq!(server["issuer"], local.as_str());
    assert_eq!(server["token_endpoint"], format!("{local}/oauth/token"));

    let client = stage.public_client().await?;
    let resource = format!("{local}/mcp/team");
    let pairs = [
        ("response_type", "code"),
        ("client_id", &client),
        ("redirect_uri", CALLBACK),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
        ("resource", &resource),
    ];
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    let page = browser.open(&format!("{local}/oauth/authorize?{query}")).await?;
    let answered = browser.submit(&page.form("consent")?, "allow").await?;
    let sent_to = answered.left_for.context("not sent back")?.parse()?;
    assert_eq!(parameter(&sent_to, "iss").as_deref(), Some(local.as_str()));
    let code = parameter(&sent_to, "code").context("no code")?;
    let fields = [
        ("grant_type", "authorization_code"),
        ("client_id", &client),
        ("code", &code),
        ("code_verifier", VERIFIER),
        ("resource", &resource),
    ];
    let answer = stage.form("/oauth/token", &fields).await?.expect_status(200)?;
    let token = super::stage::tokens_in(&answer)?.access;
    assert_eq!(stage.call("team", &token).await?, 200, "at the other name");
    assert_eq!(stage.call("other", &token).await?, 401);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_not_the_hubs_own_names_nothing() -> Result<()> {
    let mut stage = Stage::start().await?;
    let client = stage.public_client().await?;
    let port = stage.hub.base().rsplit(':').next().unwrap_or_default().to_owned();
    for foreign in [
        "http://localhost:1/mcp/team".to_owned(),
        format!("https://localhost:{port}/mcp/team"),
        format!("http://localhost.evil.example:{port}/mcp/team"),
        format!("http://127.0.0.2:{port}/mcp/team"),
        format!("http://localhost:{port}0/mcp/team"),
    ] {
        let mut request = stage.request(&client, "team");
        for (name, value) in &mut request {
            if name == "resource" {
                value.clone_from(&foreign);
            }
        }
        let page = stage.open(&request).await?;
        let sent_to = page.left_for.context("the client is told")?.parse()?;
        assert_eq!(parameter(&sent_to, "error").as_deref(), Some("invalid_target"), "{foreign}");
    }
    let elsewhere = [("host", "localhost:1")];
    let place = "/.well-known/oauth-authorization-server";
    let metadata = stage.at(place).get(&elsewhere).await?.json()?;
    assert_eq!(metadata["issuer"], stage.hub.base(), "on another port there may be somebody else");
    Ok(())
}

/// Runs a program that signs in, and gives what it says at the end.
async fn signs_in(command: Command, local: &str, browser: &mut Browser) -> Result<Value> {
    let mut program = Dialogue::start(command)?;
    let url = program.find(|line| super::clients::authorize_url_in(line, local)).await?;
    let page = browser.open(&url).await?;
    let answered = browser.submit(&page.form("consent")?, "allow").await?;
    program.type_text(&format!("{}\n", answered.left_for.context("not sent back")?)).await?;
    let seen = program.find(|line| line.starts_with('{').then(|| line.to_owned())).await?;
    Ok(serde_json::from_str(&seen)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_signs_in_at_localhost() -> Result<()> {
    let Some(client) = Client::or_skip("the_python_sdk_signs_in_at_localhost")? else { return Ok(()) };
    let stage = Stage::start().await?;
    let (local, mut browser) = by_name(&stage).await?;
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("it/scripts/python_login.py");
    let mut command = client.command(&client.packages.python());
    command.arg(script).args([&format!("{local}/mcp/team"), "mcp", "echo", r#"{"text":"hi there"}"#]);
    let seen = signs_in(command, &local, &mut browser).await?;
    ensure!(seen["text"].as_str().is_some_and(|text| text.contains("hi there")), "{seen}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_typescript_sdk_signs_in_at_localhost() -> Result<()> {
    let Some(client) = Client::or_skip("the_typescript_sdk_signs_in_at_localhost")? else { return Ok(()) };
    let stage = Stage::start().await?;
    let (local, mut browser) = by_name(&stage).await?;
    let calls = r#"[{"tool":"echo","arguments":{"text":"hi there"}}]"#;
    let command = client.node_command("typescript_login.mjs", &[&format!("{local}/mcp/team"), calls])?;
    let seen = signs_in(command, &local, &mut browser).await?;
    ensure!(seen["texts"][0].as_str().is_some_and(|text| text.contains("hi there")), "{seen}");
    Ok(())
}
