//! Servers that are shown who calls: each person's own sign-in at the
//! identity provider (npm `oidc-provider`) is exchanged for a token.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use trunkline_tests::browser::{Browser, Page};
use trunkline_tests::client_program::Client;
use trunkline_tests::http::free_port;
use trunkline_tests::hub::TestHub;
use trunkline_tests::identity_provider::{CLIENT_ID, CLIENT_SECRET, IdentityProvider};
use trunkline_tests::mcp_client::{LegacyClient, ModernClient};
use trunkline_tests::packages::StdioServer;
use trunkline_tests::process::Process;

const START: std::time::Duration = std::time::Duration::from_secs(40);
/// Of the identity provider's ID tokens, in seconds.
const ID_TOKEN_LIFE: &str = "4";
/// More calls than any wait here needs.
const CALLS: usize = 300;

struct Company {
    hub: TestHub,
    provider: IdentityProvider,
    server: Process,
    configuration: String,
}

impl Company {
    async fn start(test: &str, more_scopes: &[&str]) -> Result<Option<Self>> {
        Self::start_with(test, more_scopes, &json!({})).await
    }

    /// With more in the configuration.
    async fn start_with(test: &str, more_scopes: &[&str], more: &Value) -> Result<Option<Self>> {
        let Some(client) = Client::or_skip(test)? else { return Ok(None) };
        let (port, provider_port) = (free_port().await?, IdentityProvider::free_port().await?);
        let issuer = format!("http://127.0.0.1:{provider_port}");
        let memory = client.packages.stdio_server(StdioServer::Memory, &[]);
        let mut configuration = configuration(&issuer, port, &memory, more_scopes);
        for (name, value) in more.as_object().into_iter().flatten() {
            configuration[name] = value.clone();
        }
        let configuration = configuration.to_string();
        let hub = TestHub::start(&configuration).await?;
        let people = json!({
            "ann": { "email": "ann@example.org", "email_verified": true },
            "bob": { "email": "bob@example.org", "email_verified": true },
        });
        let life = [("ID_TOKEN_LIFE", ID_TOKEN_LIFE)];
        let packages = &client.packages;
        let provider =
            IdentityProvider::start_with(packages, provider_port, hub.base(), &people, true, &life).await?;
        let server = server(&client, port, &issuer).await?;
        Ok(Some(Self { hub, provider, server, configuration }))
    }

    /// A person who signs in, and a key of theirs.
    async fn person(&self, name: &str) -> Result<Person> {
        let mut person = Person { name: name.to_owned(), browser: Browser::new(), key: String::new() };
        let page = self.open(&mut person, "/login/issuer/corp?next=/account").await?;
        ensure!(page.url.path() == "/account", "{}: {}\n{}", page.url, page.body, self.hub.output());
        let login = format!("{name}@example.org");
        let key = self.hub.cli(&["key", "create", "--profile", "team", "--user", &login, "--json"]).await?;
        let key: Value = serde_json::from_str(&key)?;
        key["key"].as_str().context("no key")?.clone_into(&mut person.key);
        Ok(person)
    }

    /// Opens a page of the hub, and does at the provider what that asks.
    async fn open(&self, person: &mut Person, path: &str) -> Result<Page> {
        let mut page = person.browser.open(&format!("{}{path}", self.hub.base())).await?;
        for _ in 0..4 {
            if !page.url.as_str().starts_with(self.provider.issuer()) {
                break;
            }
            let form = page.form("/interaction/").with_context(|| page.body.clone())?;
            let form = if page.body.contains("name=\"login\"") {
                form.set("login", &person.name)?.set("password", "any")?
            } else {
                form
            };
            page = person.browser.submit(&form, "").await?;
        }
        Ok(page)
    }

    fn client(&self, person: &Person) -> ModernClient {
        ModernClient::new(self.hub.endpoint("team").with_key(&person.key))
    }

    /// The text that a tool answers with.
    async fn call(&self, person: &Person, tool: &str) -> Result<String> {
        let params = json!({ "name": tool, "arguments": {} }).to_string();
        let result = self.client(person).request("tools/call", &params).await?.result_value()?;
        Ok(result["content"][0]["text"].as_str().with_context(|| result.to_string())?.to_owned())
    }

    fn everything(&self) -> String {
        format!(
            "hub:\n{}\nprovider:\n{}\nserver:\n{}",
            self.hub.output(),
            self.provider.output(),
            self.server.output()
        )
    }

    fn link(&self, server: &str) -> String {
        format!("{}/connections/{server}/connect", self.hub.base())
    }

    /// Calls until `wanted` accepts what is said.
    async fn until_said(&self, person: &Person, tool: &str, wanted: impl Fn(&str) -> bool) -> Result<String> {
        let mut said = String::new();
        for _ in 0..CALLS {
            said = self.call(person, tool).await?;
            if wanted(&said) {
                return Ok(said);
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        anyhow::bail!("{tool} says {said}\n{}", self.everything())
    }

    async fn connections(&self) -> Result<Vec<Value>> {
        let list: Value = serde_json::from_str(&self.hub.cli(&["connection", "list", "--json"]).await?)?;
        Ok(list["connections"].as_array().context("no list")?.clone())
    }
}

struct Person {
    name: String,
    browser: Browser,
    key: String,
}

fn configuration(issuer: &str, port: u16, memory: &[String], more_scopes: &[&str]) -> Value {
    let scopes: Vec<&str> = ["openid", "profile", "email"].iter().chain(more_scopes).copied().collect();
    let url = format!("http://127.0.0.1:{port}/mcp");
    json!({
        "outbound": { "allow": ["loopback"] },
        "sign_in": { "issuers": { "corp": {
            "issuer": issuer, "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET, "scopes": scopes,
        } } },
        "servers": {
            "ledger": { "url": url, "auth": { "exchange": { "provider": "corp" } } },
            "payroll": { "url": url, "auth": { "id_jag": {
                "client_id": "hub-there", "client_secret": "secret-there", "idp": { "provider": "corp" },
            } } },
            "notes": { "command": memory[0], "args": memory[1..] },
        },
        "profiles": { "team": { "auth": "oauth", "servers": { "ledger": {}, "payroll": {}, "notes": {} } } },
    })
}

async fn server(client: &Client, port: u16, issuer: &str) -> Result<Process> {
    let script = client.home().join("shown_who_calls.mjs");
    std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/it/scripts/shown_who_calls.mjs"), &script)?;
    std::os::unix::fs::symlink(client.packages.node_modules(), client.home().join("node_modules"))?;
    let mut command = client.command(&client.packages.node());
    command.arg(script).args([&port.to_string(), issuer]);
    let mut process = Process::start(command)?;
    process.line(START, |line| line.contains("serving")).await?;
    Ok(process)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_person_is_seen_as_themselves_and_nobody_is_asked_while_the_sign_in_can_be_renewed() -> Result<()>
{
    let Some(company) = Company::start("each_person_is_seen_as_themselves", &["offline_access"]).await?
    else {
        return Ok(());
    };
    let (ann, bob) = (company.person("ann").await?, company.person("bob").await?);
    for _ in 0..CALLS {
        for person in [&ann, &bob] {
            let said = company.call(person, "ledger__who_am_i").await?;
            assert_eq!(said, format!("{} by exchange", person.name), "{}", company.everything());
            let said = company.call(person, "payroll__who_am_i").await?;
            assert_eq!(said, format!("{} by assertion", person.name), "{}", company.everything());
        }
        if company.provider.output().matches("granted refresh_token").count() >= 6 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(company.provider.output().contains("granted refresh_token"), "{}", company.everything());
    let connections = company.connections().await?;
    assert_eq!(connections.len(), 4, "two people, two servers: {connections:?}");
    assert!(connections.iter().all(|connection| connection["state"] == "connected"), "{connections:?}");
    let trail = company.hub.cli(&["audit", "export"]).await?;
    for text in [trail, company.hub.output()] {
        assert!(!text.contains("eyJ"), "a JWT stands in it: {text}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_is_lost_is_asked_for_once_more_for_these_servers_and_this_person_alone() -> Result<()>
{
    let Some(company) = Company::start("a_sign_in_that_is_lost", &["offline_access"]).await? else {
        return Ok(());
    };
    let (mut ann, bob) = (company.person("ann").await?, company.person("bob").await?);
    company.until_said(&ann, "ledger__who_am_i", |said| said == "ann by exchange").await?;
    company.provider.knows("ann", false).await?;
    let link = company.link("ledger");
    let said = company.until_said(&ann, "ledger__who_am_i", |said| said.contains(&link)).await?;
    assert!(said.contains("is not connected") && said.contains("sign-in"), "{said}");
    assert_eq!(company.call(&bob, "ledger__who_am_i").await?, "bob by exchange");
    let notes = company.call(&ann, "notes__read_graph").await?;
    assert!(notes.contains("entities"), "{notes}");
    let states = company.connections().await?;
    let needing: Vec<_> = states.iter().filter(|connection| connection["state"] == "needs_consent").collect();
    assert!(
        !needing.is_empty() && needing.iter().all(|one| one["owner"] == needing[0]["owner"]),
        "{states:?}"
    );

    // A client that opens pages is given the page.
    let capabilities = r#"{"elicitation":{"url":{}}}"#;
    let endpoint = company.hub.endpoint("team").with_key(&ann.key);
    let legacy = LegacyClient::connect_as(endpoint, "2025-11-25", capabilities).await?;
    let params = r#"{"name":"ledger__who_am_i","arguments":{}}"#;
    let error = legacy.request("tools/call", params).await?.error_value()?;
    assert_eq!(error["data"]["elicitations"][0]["url"], json!(link), "{error}");

    company.provider.knows("ann", true).await?;
    let page = company.open(&mut ann, "/connections/ledger/connect").await?;
    assert!(
        page.body.contains("ledger is connected"),
        "{} {}\n{}",
        page.url,
        page.body,
        company.everything()
    );
    assert_eq!(company.call(&ann, "ledger__who_am_i").await?, "ann by exchange");
    company.until_said(&ann, "payroll__who_am_i", |said| said == "ann by assertion").await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_offline_access_the_end_of_the_id_token_asks_for_a_sign_in() -> Result<()> {
    let Some(company) = Company::start("without_offline_access", &[]).await? else { return Ok(()) };
    let mut ann = company.person("ann").await?;
    company.until_said(&ann, "ledger__who_am_i", |said| said == "ann by exchange").await?;
    let said = company.until_said(&ann, "ledger__who_am_i", |said| said.contains("/connect")).await?;
    assert!(said.contains("gave nothing to renew it with"), "{said}");
    let page = company.open(&mut ann, "/connections/ledger/connect").await?;
    assert!(page.body.contains("ledger is connected"), "{} {}", page.url, page.body);
    assert_eq!(company.call(&ann, "ledger__who_am_i").await?, "ann by exchange");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_proved_a_person_goes_with_a_sign_out_at_the_provider_and_with_the_person() -> Result<()> {
    let Some(company) = Company::start("what_proved_a_person_goes", &["offline_access"]).await? else {
        return Ok(());
    };
    let (mut ann, bob) = (company.person("ann").await?, company.person("bob").await?);
    for person in [&ann, &bob] {
        let wanted = format!("{} by assertion", person.name);
        company.until_said(person, "payroll__who_am_i", |said| said == wanted).await?;
    }
    let page = ann.browser.open(&format!("{}/session/end", company.provider.issuer())).await?;
    ann.browser.submit(&page.form("/session/end")?.with("logout", "yes"), "").await?;
    let said = company.until_said(&ann, "payroll__who_am_i", |said| said.contains("/connect")).await?;
    assert!(said.contains("sign-in"), "{said}");
    assert_eq!(company.call(&bob, "payroll__who_am_i").await?, "bob by assertion");

    company.hub.cli(&["login", "revoke", "--user", "bob@example.org"]).await?;
    let said = company.until_said(&bob, "payroll__who_am_i", |said| said.contains("/connect")).await?;
    assert!(said.contains("sign-in"), "{said}");
    ensure!(company.server.output().contains("revoked: true"), "{}", company.everything());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_person_is_refused_with_what_would_help() -> Result<()> {
    let Some(company) = Company::start("who_is_no_person", &[]).await? else { return Ok(()) };
    company.hub.cli(&["user", "create", "robot", "--service"]).await?;
    let of_service =
        company.hub.cli(&["key", "create", "--profile", "team", "--user", "robot", "--json"]).await?;
    let of_service: Value = serde_json::from_str(&of_service)?;
    let of_service = of_service["key"].as_str().context("no key")?.to_owned();
    let of_nobody = company.hub.create_key("team").await?;
    for (key, help) in [(of_service, "a service account does not sign in"), (of_nobody, "a key of a person")]
    {
        let caller = Person { name: String::new(), browser: Browser::new(), key };
        let params = r#"{"name":"ledger__who_am_i","arguments":{}}"#;
        let answer = company.client(&caller).request("tools/call", params).await?.text().to_owned();
        assert!(answer.contains(help) && !answer.contains("/connect"), "{answer}");
    }
    let connections = company.connections().await?;
    assert!(connections.is_empty(), "{connections:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hubs_on_one_postgresql_renew_one_sign_in_one_after_the_other() -> Result<()> {
    let Some(database) = trunkline_storage::testing::postgres_url().await? else { return Ok(()) };
    let key = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [7; 32]);
    let shared = json!({ "database": { "url": database.expose() }, "secret_key": key });
    let test = "two_hubs_on_one_postgresql_renew_one_sign_in";
    let Some(company) = Company::start_with(test, &["offline_access"], &shared).await? else { return Ok(()) };
    let other = TestHub::start(&company.configuration).await?;
    let ann = company.person("ann").await?;
    let there = ModernClient::new(other.endpoint("team").with_key(&ann.key));
    let params = r#"{"name":"payroll__who_am_i","arguments":{}}"#;
    for _ in 0..CALLS {
        let (here, there) =
            tokio::join!(company.call(&ann, "ledger__who_am_i"), there.request("tools/call", params));
        assert_eq!(here?, "ann by exchange", "{}", company.everything());
        let there = there?.result_value()?;
        assert_eq!(
            there["content"][0]["text"],
            "ann by assertion",
            "{}\n{}",
            other.output(),
            company.everything()
        );
        if company.provider.output().matches("granted refresh_token").count() >= 3 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(80)).await;
    }
    let output = company.provider.output();
    assert!(output.matches("granted refresh_token").count() >= 3, "{output}");
    // A refresh token that is used twice ends the whole grant there.
    assert!(!output.contains("grant: "), "{output}");
    Ok(())
}
