//! Servers behind authorization servers of other makers: people connect them
//! in their browsers, each for themselves.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use trunkline_tests::browser::{Browser, Page};
use trunkline_tests::client_program::Client;
use trunkline_tests::http::free_port;
use trunkline_tests::hub::TestHub;
use trunkline_tests::mcp_client::{LegacyClient, ModernClient};
use trunkline_tests::process::Process;

const START: Duration = Duration::from_secs(40);

/// `FastMCP` with its own authorization server, which forgets everything when it ends.
async fn fastmcp(client: &Client, port: u16) -> Result<Process> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/it/scripts/fastmcp_protected.py");
    let mut command = client.command(&client.packages.python());
    command.arg(script).arg(port.to_string());
    let mut process = Process::start(command)?;
    process.line(START, |line| line.contains("Uvicorn running")).await?;
    Ok(process)
}

/// The example server of the TypeScript SDK with its example authorization server.
async fn typescript(client: &Client, port: u16, authorization: u16) -> Result<Process> {
    let file = "@modelcontextprotocol/sdk/dist/esm/examples/server/simpleStreamableHttp.js";
    let mut command = client.command(&client.packages.node());
    command.arg(client.packages.npm_file(file)).args(["--oauth", "--oauth-strict"]);
    command.env("MCP_PORT", port.to_string()).env("MCP_AUTH_PORT", authorization.to_string());
    let mut process = Process::start(command)?;
    process
        .line(START, |line| line.contains("listening on port") && line.contains(&port.to_string()))
        .await?;
    Ok(process)
}

/// A server behind an oidc-provider whose access tokens live two seconds.
async fn oidc(client: &Client, port: u16, provider: u16) -> Result<Process> {
    let script = client.home().join("protected_by_oidc.mjs");
    let original = concat!(env!("CARGO_MANIFEST_DIR"), "/it/scripts/protected_by_oidc.mjs");
    std::fs::copy(original, &script)?;
    std::os::unix::fs::symlink(client.packages.node_modules(), client.home().join("node_modules"))?;
    let mut command = client.command(&client.packages.node());
    command.arg(script).args([port.to_string(), provider.to_string()]);
    let mut process = Process::start(command)?;
    process.line(START, |line| line.contains("serving")).await?;
    Ok(process)
}

/// A person: their browser, signed in, and a key of theirs.
struct Person {
    browser: Browser,
    key: String,
}

impl Person {
    async fn new(hub: &TestHub, login: &str) -> Result<Self> {
        hub.cli(&["user", "create", login]).await?;
        let link = hub.cli(&["login", "link", login]).await?;
        let mut browser = Browser::new();
        let page = browser.open(link.trim()).await?;
        browser.submit(&page.form("/login/link/")?, "").await?;
        let key = hub.cli(&["key", "create", "--profile", "team", "--user", login, "--json"]).await?;
        let key: Value = serde_json::from_str(&key)?;
        Ok(Self { browser, key: key["key"].as_str().context("no key")?.to_owned() })
    }

    async fn connect(&mut self, hub: &TestHub, server: &str) -> Result<Page> {
        let page = self.browser.open(&format!("{}/connections/{server}/connect", hub.base())).await?;
        ensure!(page.status.is_success(), "{server}: {} {}", page.status, page.body);
        Ok(page)
    }

    fn client(&self, hub: &TestHub) -> ModernClient {
        ModernClient::new(hub.endpoint("team").with_key(&self.key))
    }

    /// The text that a tool answers with.
    async fn call(&self, hub: &TestHub, tool: &str, arguments: Value) -> Result<String> {
        let params = json!({ "name": tool, "arguments": arguments }).to_string();
        let result = self.client(hub).request("tools/call", &params).await?.result_value()?;
        Ok(result["content"][0]["text"].as_str().with_context(|| result.to_string())?.to_owned())
    }
}

fn configuration(typescript: u16, fastmcp: u16) -> String {
    let auth = json!({ "oauth": { "per": "user" } });
    json!({
        "outbound": { "allow": ["loopback"] },
        "servers": {
            "sdk": { "url": format!("http://localhost:{typescript}/mcp"), "auth": auth },
            "fast": { "url": format!("http://127.0.0.1:{fastmcp}/mcp"), "auth": auth },
        },
        "profiles": { "team": { "auth": "api_key", "servers": { "sdk": {}, "fast": {} } } },
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_connect_two_servers_and_a_lost_grant_asks_for_that_one_alone() -> Result<()> {
    let Some(client) = Client::or_skip("two_people_connect_two_servers")? else { return Ok(()) };
    let (port, authorization, fast) = (free_port().await?, free_port().await?, free_port().await?);
    let _sdk = typescript(&client, port, authorization).await?;
    let running = fastmcp(&client, fast).await?;
    let hub = TestHub::start(&configuration(port, fast)).await?;
    let (mut ann, mut bob) = (Person::new(&hub, "ann").await?, Person::new(&hub, "bob").await?);

    let said = ann.call(&hub, "fast__whose_token", json!({})).await?;
    assert!(said.contains(&format!("{}/connections/fast/connect", hub.base())), "{said}");
    for person in [&mut ann, &mut bob] {
        for server in ["sdk", "fast"] {
            person.connect(&hub, server).await?;
        }
    }
    let (of_ann, of_bob) = (
        ann.call(&hub, "fast__whose_token", json!({})).await?,
        bob.call(&hub, "fast__whose_token", json!({})).await?,
    );
    assert_ne!(of_ann, of_bob, "each shows a token of their own");
    assert!(!of_ann.contains(&ann.key), "never the caller's");
    let greeting = ann.call(&hub, "sdk__greet", json!({ "name": "Ann" })).await?;
    assert!(greeting.contains("Ann"), "{greeting}");

    running.kill().await?;
    let _running = fastmcp(&client, fast).await?;
    let said = ann.call(&hub, "fast__whose_token", json!({})).await?;
    assert!(said.contains("/connections/fast/connect"), "{said}");
    let greeting = ann.call(&hub, "sdk__greet", json!({ "name": "Ann" })).await?;
    assert!(greeting.contains("Ann"), "the other server goes on: {greeting}");
    let list = hub.cli(&["connection", "list", "--json"]).await?;
    let list: Value = serde_json::from_str(&list)?;
    let states: Vec<_> = list["connections"]
        .as_array()
        .context("no list")?
        .iter()
        .filter(|connection| connection["server"] == "sdk")
        .map(|connection| connection["state"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(states.len(), 2);
    assert!(states.iter().all(|state| matches!(state.as_str(), "connected" | "expiring")), "{states:?}");

    // The client that FastMCP has forgotten is registered anew.
    ann.connect(&hub, "fast").await?;
    assert!(!ann.call(&hub, "fast__whose_token", json!({})).await?.contains("/connections/"));
    let output = hub.output();
    for token in [&of_ann, &of_bob] {
        assert!(!output.contains(token.as_str()), "a token is in the log");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_opens_pages_is_given_the_page_in_both_eras() -> Result<()> {
    let Some(client) = Client::or_skip("a_client_that_opens_pages")? else { return Ok(()) };
    let fast = free_port().await?;
    let _running = fastmcp(&client, fast).await?;
    let hub = TestHub::start(&configuration(1, fast)).await?;
    let mut ann = Person::new(&hub, "ann").await?;
    let link = format!("{}/connections/fast/connect", hub.base());
    let capabilities = r#"{"elicitation":{"url":{}}}"#;
    let endpoint = hub.endpoint("team").with_key(&ann.key);
    let params = r#"{"name":"fast__whose_token","arguments":{}}"#;

    let modern = ModernClient::with_capabilities(endpoint.clone(), capabilities);
    let mut result = modern.request("tools/call", params).await?.result_value()?;
    assert_eq!(result["resultType"], "input_required", "{result}");
    let asks = result["inputRequests"].as_object().context("no requests")?;
    let (name, ask) = asks.iter().next().context("nothing is asked")?;
    assert_eq!(ask["method"], "elicitation/create");
    assert_eq!((&ask["params"]["mode"], &ask["params"]["url"]), (&json!("url"), &json!(link)));

    let legacy = LegacyClient::connect_as(endpoint, "2025-11-25", capabilities).await?;
    let error = legacy.request("tools/call", params).await?.error_value()?;
    assert_eq!((&error["code"], &error["data"]["elicitations"][0]["url"]), (&json!(-32042), &json!(link)));

    ann.connect(&hub, "fast").await?;
    let again = json!({
        "name": "fast__whose_token", "arguments": {},
        "inputResponses": { name: { "action": "accept" } }, "requestState": result["requestState"],
    });
    result = modern.request("tools/call", &again.to_string()).await?.result_value()?;
    assert!(result["content"][0]["text"].is_string(), "{result}");
    assert!(legacy.request("tools/call", params).await?.result().is_ok());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_sees_their_connections_and_ends_them() -> Result<()> {
    let Some(client) = Client::or_skip("a_person_sees_their_connections")? else { return Ok(()) };
    let fast = free_port().await?;
    let _running = fastmcp(&client, fast).await?;
    let hub = TestHub::start(&configuration(1, fast)).await?;
    let list = format!("{}/connections", hub.base());
    assert_eq!(Browser::new().open(&list).await?.url.path(), "/login", "nobody else sees any");
    let mut ann = Person::new(&hub, "ann").await?;
    assert!(ann.browser.open(&list).await?.body.contains("not connected"));
    ann.connect(&hub, "fast").await?;
    let page = ann.browser.open(&list).await?;
    assert!(page.body.contains("connected"), "{}", page.body);
    ann.browser.submit(&page.form("/connections/fast/disconnect")?, "").await?;
    let said = ann.call(&hub, "fast__whose_token", json!({})).await?;
    assert!(said.contains("/connections/fast/connect"), "{said}");

    // A link of an operator, good once.
    let printed = hub.cli(&["connection", "clients", "list", "--json"]).await?;
    let clients: Value = serde_json::from_str(&printed)?;
    assert_eq!(clients["clients"][0]["registered_by"], "dcr", "{clients}");
    hub.cli(&["connection", "clients", "delete", "fast"]).await?;
    assert!(hub.cli(&["connection", "clients", "delete", "fast"]).await.is_err(), "it is gone");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn tokens_of_an_oidc_provider_are_refreshed_and_rotated_without_anybody_noticing() -> Result<()> {
    let Some(client) = Client::or_skip("tokens_of_an_oidc_provider")? else { return Ok(()) };
    let (port, provider) = (free_port().await?, free_port().await?);
    let running = oidc(&client, port, provider).await?;
    let hub = TestHub::start(
        &json!({
            "outbound": { "allow": ["loopback"] },
            "servers": {
                "guarded": {
                    "url": format!("http://127.0.0.1:{port}/mcp"),
                    "auth": { "oauth": { "per": "user" } },
                },
            },
            "profiles": { "team": { "auth": "api_key", "servers": { "guarded": { "prefix": "g" } } } },
        })
        .to_string(),
    )
    .await?;
    let mut ann = Person::new(&hub, "ann").await?;
    let mut page = ann.connect(&hub, "guarded").await?;
    let form = page.form("")?.set("login", "ann-there")?.set("password", "anything")?;
    page = ann.browser.submit(&form, "").await?;
    page = ann.browser.submit(&page.form("")?, "").await?;
    ensure!(page.body.contains("is connected"), "{}: {}", page.url, page.body);

    let mut refreshed = 0;
    for _ in 0..200 {
        let said = ann.call(&hub, "g__who_am_i", json!({})).await?;
        assert_eq!(said, "ann-there", "nobody notices: {}", running.output());
        let list: Value = serde_json::from_str(&hub.cli(&["connection", "list", "--json"]).await?)?;
        let connection = &list["connections"][0];
        assert_eq!(connection["state"], "connected", "{connection}");
        refreshed += usize::from(connection["refreshed_at"].is_string());
        if refreshed > 30 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    ensure!(refreshed > 30, "it was not refreshed: {}", hub.output());

    hub.cli(&["connection", "clients", "rotate", "guarded"]).await?;
    assert_eq!(ann.call(&hub, "g__who_am_i", json!({})).await?, "ann-there");
    hub.cli(&["connection", "clients", "delete", "guarded"]).await?;
    assert!(ann.call(&hub, "g__who_am_i", json!({})).await?.contains("/connections/guarded/connect"));
    Ok(())
}

/// What two hubs share, besides the server.
fn of_two_hubs(database: &str, port: u16) -> String {
    let key = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [7; 32]);
    json!({
        "database": { "url": database },
        "secret_key": key,
        "outbound": { "allow": ["loopback"] },
        "servers": {
            "guarded": { "url": format!("http://127.0.0.1:{port}/mcp"), "auth": { "oauth": { "per": "user" } } },
        },
        "profiles": { "team": { "auth": "api_key", "servers": { "guarded": { "prefix": "g" } } } },
    })
    .to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hubs_on_one_postgresql_refresh_one_grant_one_after_the_other() -> Result<()> {
    let Some(client) = Client::or_skip("two_hubs_on_one_postgresql")? else { return Ok(()) };
    let Some(database) = trunkline_storage::testing::postgres_url().await? else { return Ok(()) };
    let (port, provider) = (free_port().await?, free_port().await?);
    let running = oidc(&client, port, provider).await?;
    let configuration = of_two_hubs(database.expose(), port);
    let (one, other) = (TestHub::start(&configuration).await?, TestHub::start(&configuration).await?);
    let mut ann = Person::new(&one, "ann").await?;
    let mut page = ann.connect(&one, "guarded").await?;
    let form = page.form("")?.set("login", "ann-there")?.set("password", "anything")?;
    page = ann.browser.submit(&form, "").await?;
    page = ann.browser.submit(&page.form("")?, "").await?;
    ensure!(page.body.contains("is connected"), "{}: {}", page.url, page.body);

    let everything = || format!("{}\n{}\n{}", one.output(), other.output(), running.output());
    for _ in 0..100 {
        let said = tokio::join!(
            ann.call(&one, "g__who_am_i", json!({})),
            ann.call(&other, "g__who_am_i", json!({}))
        );
        for said in [said.0, said.1] {
            assert_eq!(said.with_context(everything)?, "ann-there", "{}", everything());
        }
        tokio::time::sleep(Duration::from_millis(80)).await;
    }
    let output = running.output();
    // A refresh token that is used twice ends the whole grant there.
    assert!(!output.contains("not granted"), "{output}");
    let refreshes = output.matches("granted refresh_token").count();
    assert!((3..=20).contains(&refreshes), "{refreshes}: {output}");
    for hub in [&one, &other] {
        let list: Value = serde_json::from_str(&hub.cli(&["connection", "list", "--json"]).await?)?;
        assert_eq!(list["connections"][0]["state"], "connected", "{list}");
    }
    Ok(())
}
