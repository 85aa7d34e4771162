//! Tools that need a scope of their own: a client is told which, and asks for
//! it (MCP 2026-07-28, authorization; RFC 6750 section 3.1).

use anyhow::{Context as _, Result, ensure};
use http::Method;
use serde_json::Value;
use trunkline_tests::client_program::Client;
use trunkline_tests::dialogue::Dialogue;
use trunkline_tests::http::{Endpoint, Response};
use trunkline_tests::hub::{self, TestHub};

use super::stage::{CALLBACK, Stage, Tokens, VERIFIER, claims, error, signed_in, tokens_in};

const SCOPES: &str = "scopes: { loud: { tools: [\"ec*\"], description: Say things aloud }, \
                      sums: { tools: [add, slow_count] } }";

fn configuration(scopes: &str) -> Result<String> {
    let sample = hub::binary()?;
    let servers = "servers: { sample: { prefix: \"\" } }";
    Ok(format!(
        "authorization: {{ client_documents: false }}\nservers:\n  sample: {{ command: {sample:?}, args: [sample-server] }}\n\
         profiles:\n  team: {{ {scopes} {servers} }}\n  other: {{ {scopes} {servers} }}\n"
    ))
}

async fn stage() -> Result<Stage> {
    let hub = TestHub::start(&configuration(&format!("{SCOPES},"))?).await?;
    let browser = signed_in(&hub).await?;
    Ok(Stage { hub, browser })
}

impl Stage {
    /// Tokens of `team`, after Ann allowed what is asked.
    async fn tokens_with(&mut self, client: &str, scope: &str) -> Result<(Tokens, String)> {
        let mut request = self.request(client, "team");
        request.push(("scope".to_owned(), scope.to_owned()));
        let sent_to = self.allowed(&request).await?;
        let code = super::stage::parameter(&sent_to, "code").with_context(|| sent_to.to_string())?;
        let answer = self.redeem(client, &code).await?.expect_status(200)?;
        let granted = answer.json()?["scope"].as_str().unwrap_or_default().to_owned();
        Ok((tokens_in(&answer)?, granted))
    }
}

/// A call of 2026-07-28.
async fn call(endpoint: &Endpoint, tool: &str, arguments: &str) -> Result<Response> {
    let meta = r#"{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{tool}","arguments":{arguments},"_meta":{meta}}}}}"#
    );
    let headers = [("mcp-protocol-version", "2026-07-28"), ("mcp-method", "tools/call"), ("mcp-name", tool)];
    endpoint.post(body, &headers).await
}

fn challenge(response: &Response) -> &str {
    response.header("www-authenticate").unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tool_is_opened_by_its_scope_alone_and_the_challenge_names_all_that_is_needed() -> Result<()> {
    let mut stage = stage().await?;
    let refused = call(&stage.hub.endpoint("team"), "echo", "{}").await?.expect_status(401)?;
    assert!(
        challenge(&refused).contains("scope=\"mcp\""),
        "the least to begin with: {}",
        challenge(&refused)
    );
    let place = "/.well-known/oauth-protected-resource/mcp/team";
    let resource = stage.at(place).get(&[]).await?.json()?;
    assert_eq!(resource["scopes_supported"], serde_json::json!(["mcp"]));
    let server = stage.at("/.well-known/oauth-authorization-server").get(&[]).await?.json()?;
    assert_eq!(
        server["scopes_supported"],
        serde_json::json!(["mcp", "offline_access", "admin", "loud", "sums"])
    );

    let client = stage.public_client().await?;
    let (first, granted) = stage.tokens_with(&client, "mcp").await?;
    assert_eq!(granted, "mcp");
    let endpoint = stage.hub.endpoint("team").with_key(&first.access);
    call(&endpoint, "now", "{}").await?.expect_status(200)?;
    let refused = call(&endpoint, "echo", r#"{"text":"hi"}"#).await?.expect_status(403)?;
    let metadata = format!("{}{place}", stage.hub.base());
    for told in
        ["error=\"insufficient_scope\"", "scope=\"mcp loud\"", &format!("resource_metadata=\"{metadata}\"")]
    {
        assert!(challenge(&refused).contains(told), "{}", challenge(&refused));
    }
    let body = refused.json()?;
    assert_eq!((&body["id"], &body["error"]["code"]), (&Value::from(1), &Value::from(-32600)), "{body}");
    let trail = stage.hub.cli(&["audit", "export"]).await?;
    assert!(trail.contains("insufficient_scope") && trail.contains("echo needs the scope loud"), "{trail}");

    let mut request = stage.request(&client, "team");
    request.push(("scope".to_owned(), "mcp loud".to_owned()));
    let page = stage.open(&request).await?;
    assert!(page.body.contains("Say things aloud") && !page.body.contains("sums"), "{}", page.body);
    let (second, granted) = stage.tokens_with(&client, "mcp loud").await?;
    assert_eq!(granted, "mcp loud");
    let opened = stage.hub.endpoint("team").with_key(&second.access);
    call(&opened, "echo", r#"{"text":"hi"}"#).await?.expect_status(200)?;
    call(&endpoint, "echo", r#"{"text":"hi"}"#).await?.expect_status(403)?;
    let key = stage.hub.create_key("team").await?;
    let by_key = stage.hub.endpoint("team").with_key(&key);
    call(&by_key, "echo", r#"{"text":"hi"}"#).await?.expect_status(200)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_allows_more_keeps_what_was_allowed_and_is_asked_about_the_new_alone() -> Result<()> {
    let mut stage = stage().await?;
    let client = stage.public_client().await?;
    let (_, granted) = stage.tokens_with(&client, "loud").await?;
    assert_eq!(granted, "mcp loud");
    let mut request = stage.request(&client, "team");
    request.push(("scope".to_owned(), "sums offline_access".to_owned()));
    let page = stage.open(&request).await?;
    let (asked, before) = page.body.split_once("Allowed before").context("no part of what was allowed")?;
    assert!(asked.contains("sums") && !asked.contains("loud") && before.contains("loud"), "{}", page.body);
    let (tokens, granted) = stage.tokens_with(&client, "sums offline_access").await?;
    assert_eq!(granted, "mcp loud sums offline_access");
    let (_, again) = stage.tokens_with(&client, "mcp").await?;
    assert_eq!(again, "mcp", "who asks for less gets less");

    let narrowed = |scope: &'static str| {
        let refresh = tokens.refresh.clone();
        let (stage, client) = (&stage, &client);
        async move {
            let fields = [
                ("grant_type", "refresh_token"),
                ("client_id", client.as_str()),
                ("refresh_token", refresh.as_str()),
                ("scope", scope),
            ];
            stage.form("/oauth/token", &fields).await
        }
    };
    let answer = narrowed("sums").await?.expect_status(200)?;
    assert_eq!(answer.json()?["scope"], "mcp sums");
    let less = tokens_in(&answer)?;
    let endpoint = stage.hub.endpoint("team").with_key(&less.access);
    call(&endpoint, "echo", "{}").await?.expect_status(403)?;
    call(&endpoint, "add", r#"{"a":1,"b":2}"#).await?.expect_status(200)?;
    let whole = stage.refresh(&client, &less.refresh).await?.expect_status(200)?;
    assert_eq!(whole.json()?["scope"], "mcp loud sums offline_access", "the next one has all again");
    let (basic, _) = stage.tokens_with(&client, "mcp").await?;
    let fields = [
        ("grant_type", "refresh_token"),
        ("client_id", client.as_str()),
        ("refresh_token", basic.refresh.as_str()),
        ("scope", "mcp loud"),
    ];
    let refused = stage.form("/oauth/token", &fields).await?.expect_status(400)?;
    assert_eq!(error(&refused)?, "invalid_scope");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn older_clients_hear_of_it_before_their_answer_begins_and_a_session_goes_on() -> Result<()> {
    let mut stage = stage().await?;
    let client = stage.public_client().await?;
    let (basic, _) = stage.tokens_with(&client, "mcp").await?;
    let (more, _) = stage.tokens_with(&client, "mcp loud").await?;
    let call = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"echo","arguments":{"text":"hi"}}}"#;

    let endpoint = stage.hub.endpoint("team").with_key(&basic.access);
    let initialize = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
    let greeted = endpoint.post(initialize.to_owned(), &[]).await?.expect_status(200)?;
    let session = greeted.header("mcp-session-id").context("no session")?.to_owned();
    let headers = [("mcp-session-id", session.as_str())];
    let refused = endpoint.post(call.to_owned(), &headers).await?.expect_status(403)?;
    assert!(challenge(&refused).contains("insufficient_scope"), "{}", challenge(&refused));
    let opened = stage.hub.endpoint("team").with_key(&more.access);
    opened.post(call.to_owned(), &headers).await?.expect_status(200)?;

    let address = format!("{}/sse", stage.hub.url("team"));
    let old = Endpoint::new(&address).with_key(&basic.access);
    let mut stream = old.send(Method::GET, String::new(), &[("accept", "text/event-stream")]).await?;
    let first = stream.event().await?.context("no endpoint")?;
    let messages = old.at(&format!("{}{}", stage.hub.base(), first.data));
    messages.post(initialize.to_owned(), &[]).await?.expect_status(202)?;
    stream.event().await?.context("no answer")?;
    let refused = messages.post(call.to_owned(), &[]).await?.expect_status(403)?;
    assert!(challenge(&refused).contains("scope=\"mcp loud\""), "{}", challenge(&refused));
    let with_more = Endpoint::new(messages.url()).with_key(&more.access);
    with_more.post(call.to_owned(), &[]).await?.expect_status(202)?;
    let answered = stream.event().await?.context("no answer")?;
    assert!(answered.data.contains("hi"), "{}", answered.data);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_that_is_taken_out_of_the_file_is_needed_no_more() -> Result<()> {
    let mut stage = stage().await?;
    let client = stage.public_client().await?;
    let (tokens, _) = stage.tokens_with(&client, "mcp loud").await?;
    let (basic, _) = stage.tokens_with(&client, "mcp").await?;
    let endpoint = stage.hub.endpoint("team").with_key(&basic.access);
    call(&endpoint, "echo", "{}").await?.expect_status(403)?;
    stage.hub.rewrite_configuration(&configuration("")?)?;
    stage.hub.until_output(|line| line.contains("configuration reloaded")).await?;
    let opened = async {
        while call(&endpoint, "echo", r#"{"text":"hi"}"#).await?.status != 200 {
            tokio::task::yield_now().await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), opened).await.context("still refused")??;
    let fresh = stage.refresh(&client, &tokens.refresh).await?.expect_status(200)?;
    assert_eq!(fresh.json()?["scope"], "mcp", "a token has no scope that there is not");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scope_of_one_profile_is_none_of_another() -> Result<()> {
    let mut stage = stage().await?;
    let arguments = [
        "client",
        "create",
        "portal",
        "--confidential",
        "--token-exchange",
        "--redirect-uri",
        CALLBACK,
        "--json",
    ];
    let made: Value = serde_json::from_str(&stage.hub.cli(&arguments).await?)?;
    let portal = ("portal", made["secret"].as_str().unwrap_or_default());
    let mut request = stage.request("portal", "team");
    request.push(("scope".to_owned(), "mcp loud".to_owned()));
    let sent_to = stage.allowed(&request).await?;
    let code = super::stage::parameter(&sent_to, "code").context("no code")?;
    let fields = [("grant_type", "authorization_code"), ("code", &code), ("code_verifier", VERIFIER)];
    let own = tokens_in(&stage.form_as("/oauth/token", portal, &fields).await?.expect_status(200)?)?;
    for (profile, scope, expected) in [
        ("team", "mcp loud", Ok("mcp loud")),
        ("team", "loud sums", Err("invalid_scope")),
        ("other", "mcp", Ok("mcp")),
        ("other", "mcp loud", Err("invalid_scope")),
    ] {
        let resource = stage.resource(profile);
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token", &own.access),
            ("resource", &resource),
            ("scope", scope),
        ];
        let answer = stage.form_as("/oauth/token", portal, &fields).await?;
        match expected {
            Ok(scope) => {
                let token = tokens_in(&answer.expect_status(200)?)?.access;
                assert_eq!(claims(&token)?["scope"], scope, "{profile}");
            }
            Err(code) => assert_eq!(error(&answer.expect_status(400)?)?, code, "{profile} {scope}"),
        }
    }
    Ok(())
}

/// Ann allows what the program shows; gives the request and where she was sent.
async fn allowed(stage: &mut Stage, program: &mut Dialogue) -> Result<(url::Url, String)> {
    let base = stage.hub.base().to_owned();
    let url = program.find(|line| super::clients::authorize_url_in(line, &base)).await?;
    let page = stage.browser.open(&url).await?;
    let answered = stage.browser.submit(&page.form("consent")?, "allow").await?;
    Ok((url.parse()?, answered.left_for.context("not sent back")?))
}

/// A program that is sent to sign in, and once more when it calls `echo`.
async fn steps_up(stage: &mut Stage, mut program: Dialogue) -> Result<Value> {
    stage.browser = std::mem::take(&mut stage.browser).stopping_at("http://localhost:");
    for wanted in ["mcp", "loud"] {
        let (request, sent_to) = allowed(stage, &mut program).await?;
        let scope = super::stage::parameter(&request, "scope").unwrap_or_default();
        ensure!(scope.split(' ').any(|scope| scope == wanted), "{scope}");
        ensure!((wanted == "loud") == scope.contains("loud") && !scope.contains("sums"), "{scope}");
        program.type_text(&format!("{sent_to}\n")).await?;
    }
    let seen = program.find(|line| line.starts_with('{').then(|| line.to_owned())).await?;
    Ok(serde_json::from_str(&seen)?)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_typescript_sdk_steps_up() -> Result<()> {
    let Some(client) = Client::or_skip("the_typescript_sdk_steps_up")? else { return Ok(()) };
    let mut stage = stage().await?;
    let calls = r#"[{"tool":"now","arguments":{}},{"tool":"echo","arguments":{"text":"hi there"}}]"#;
    let command = client.node_command("typescript_login.mjs", &[&stage.hub.url("team"), calls])?;
    let seen = steps_up(&mut stage, Dialogue::start(command)?).await?;
    ensure!(seen["texts"][1].as_str().is_some_and(|text| text.contains("hi there")), "{seen}");
    ensure!(seen["scope"].as_str().is_some_and(|scope| scope.starts_with("mcp loud")), "{seen}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_sdk_steps_up() -> Result<()> {
    let Some(client) = Client::or_skip("the_python_sdk_steps_up")? else { return Ok(()) };
    let mut stage = stage().await?;
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("it/scripts/python_login.py");
    let mut command = client.command(&client.packages.python());
    command.arg(script).args([&stage.hub.url("team"), "mcp", "echo", r#"{"text":"hi there"}"#]);
    let seen = steps_up(&mut stage, Dialogue::start(command)?).await?;
    ensure!(seen["text"].as_str().is_some_and(|text| text.contains("hi there")), "{seen}");
    Ok(())
}
