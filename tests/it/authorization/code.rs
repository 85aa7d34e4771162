//! The authorization code, from registration to the call and its end.

use std::time::Duration;

use anyhow::Result;
use trunkline_tests::browser::Browser;
use trunkline_tests::raw::RawConnection;

use super::stage::{CALLBACK, Stage, VERIFIER, claims, error, parameter};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_signs_in_calls_and_is_ended_by_the_command_line() -> Result<()> {
    let mut stage = Stage::start().await?;
    let client = stage.public_client().await?;
    let sent_to = stage.allowed(&stage.request(&client, "team")).await?;
    assert_eq!(parameter(&sent_to, "state").as_deref(), Some("the state"));
    assert_eq!(parameter(&sent_to, "iss").as_deref(), Some(stage.hub.base()), "RFC 9207");
    let code = parameter(&sent_to, "code").unwrap_or_default();
    let answer = stage.redeem(&client, &code).await?.expect_status(200)?;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let tokens = super::stage::tokens_in(&answer)?;
    let claims = claims(&tokens.access)?;
    assert_eq!(claims["aud"], stage.resource("team"));
    assert_eq!(claims["iss"], stage.hub.base());

    assert_eq!(stage.call("team", &tokens.access).await?, 200);
    assert_eq!(stage.call("other", &tokens.access).await?, 401, "it is for one profile");
    let grants = stage.live_grants().await?;
    assert_eq!(grants.len(), 1);
    stage.hub.cli(&["client", "revoke", &grants[0]]).await?;
    stage.until_refused(&tokens.access).await?;
    assert_eq!(error(&stage.refresh(&client, &tokens.refresh).await?.expect_status(400)?)?, "invalid_grant");
    assert!(stage.open(&stage.request(&client, "team")).await?.form("consent").is_ok(), "asked again");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_client_loses_everything_at_once() -> Result<()> {
    let mut stage = Stage::start().await?;
    let client = stage.public_client().await?;
    let tokens = stage.tokens(&client).await?;
    stage.hub.cli(&["client", "block", &client]).await?;
    stage.until_refused(&tokens.access).await?;
    assert_eq!(error(&stage.refresh(&client, &tokens.refresh).await?.expect_status(401)?)?, "invalid_client");
    let page = stage.open(&stage.request(&client, "team")).await?;
    assert_eq!(page.status, 400);
    assert!(page.body.contains("blocked"), "{}", page.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_that_is_used_twice_ends_what_it_gave() -> Result<()> {
    let mut stage = Stage::start().await?;
    let client = stage.public_client().await?;
    let code = stage.code(&client, "team").await?;
    let first = super::stage::tokens_in(&stage.redeem(&client, &code).await?.expect_status(200)?)?;
    assert_eq!(error(&stage.redeem(&client, &code).await?.expect_status(400)?)?, "invalid_grant");
    stage.until_refused(&first.access).await?;
    assert!(stage.live_grants().await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_is_bound_to_its_client_verifier_redirect_and_resource() -> Result<()> {
    let mut stage = Stage::start().await?;
    let (client, other) = (stage.public_client().await?, stage.public_client().await?);
    let code = stage.code(&client, "team").await?;
    let wrong = "a".repeat(43);
    let resource = stage.resource("other");
    for (changed, value, code_of_error) in [
        ("client_id", other.as_str(), "invalid_grant"),
        ("code_verifier", wrong.as_str(), "invalid_grant"),
        ("redirect_uri", "http://127.0.0.1:2/callback", "invalid_grant"),
        ("resource", resource.as_str(), "invalid_target"),
        ("code_verifier", "", "invalid_request"),
        ("grant_type", "password", "unsupported_grant_type"),
        ("client_id", "nobody", "invalid_client"),
    ] {
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("client_id", &client),
            ("code", &code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        fields.retain(|(name, _)| *name != changed);
        fields.push((changed, value));
        let answer = stage.form("/oauth/token", &fields).await?;
        assert_eq!(error(&answer)?, code_of_error, "{changed}={value}");
    }
    stage.redeem(&client, &code).await?.expect_status(200)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_before_a_trusted_redirect_is_shown_and_leads_nowhere() -> Result<()> {
    let mut stage = Stage::start().await?;
    let client = stage.public_client().await?;
    for (name, value) in [
        ("client_id", "nobody"),
        ("client_id", ""),
        ("redirect_uri", "http://127.0.0.1:1/callback/"),
        ("redirect_uri", "http://127.0.0.1:1/%63allback"),
        ("redirect_uri", "http://localhost:1/callback"),
        ("redirect_uri", "https://evil.example/"),
        ("redirect_uri", "http://127.0.0.1:1@evil.example/callback"),
        ("redirect_uri", "http://127.0.0.1:1/callback#x"),
        ("redirect_uri", "javascript:alert(1)"),
    ] {
        let mut request = stage.request(&client, "team");
        request.retain(|(key, _)| key != name);
        request.push((name.to_owned(), value.to_owned()));
        let page = stage.open(&request).await?;
        assert_eq!((page.status.as_u16(), page.left_for), (400, None), "{name}={value}");
    }
    let mut twice = stage.request(&client, "team");
    twice.push(("redirect_uri".to_owned(), "https://evil.example/".to_owned()));
    assert_eq!(stage.open(&twice).await?.status, 400, "a parameter stands once");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_on_the_machine_is_told_what_was_wrong_with_issuer_and_state() -> Result<()> {
    let mut stage = Stage::start().await?;
    let client = stage.public_client().await?;
    let foreign = format!("{}/mcp/team/", stage.hub.base());
    for (name, value, expected) in [
        ("response_type", "token", "unsupported_response_type"),
        ("code_challenge", "", "invalid_request"),
        ("code_challenge_method", "plain", "invalid_request"),
        ("code_challenge", VERIFIER, ""),
        ("resource", "https://elsewhere.example/mcp/team", "invalid_target"),
        ("resource", foreign.as_str(), "invalid_target"),
        ("resource", "", "invalid_target"),
        ("request", "eyJ", "request_not_supported"),
    ] {
        let mut request = stage.request(&client, "team");
        request.retain(|(key, _)| key != name);
        request.push((name.to_owned(), value.to_owned()));
        let page = stage.open(&request).await?;
        if expected.is_empty() {
            assert!(page.form("consent").is_ok(), "43 characters are a challenge like any other");
            continue;
        }
        let sent_to = page.left_for.unwrap_or_default().parse()?;
        assert_eq!(parameter(&sent_to, "error").as_deref(), Some(expected), "{name}={value}");
        assert_eq!(parameter(&sent_to, "iss").as_deref(), Some(stage.hub.base()));
        assert_eq!(parameter(&sent_to, "state").as_deref(), Some("the state"));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_signed_in_signs_in_and_comes_back() -> Result<()> {
    let stage = Stage::start().await?;
    let client = stage.public_client().await?;
    let mut browser = Browser::new().stopping_at("http://127.0.0.1:1/");
    let page = browser.open(&stage.authorize_url(&stage.request(&client, "team"))).await?;
    assert_eq!(page.url.path(), "/login");
    let form = page.form("/login")?.set("login", "ann")?.set("password", "correct horse battery")?;
    let page = browser.submit(&form, "").await?;
    let answered = browser.submit(&page.form("consent")?, "allow").await?;
    assert!(answered.left_for.is_some_and(|url| url.contains("code=tla_")));

    let mut silent = stage.request(&client, "team");
    silent.push(("prompt".to_owned(), "none".to_owned()));
    let page = Browser::new().stopping_at("http://127.0.0.1:1/").open(&stage.authorize_url(&silent)).await?;
    assert!(page.left_for.is_some_and(|url| url.contains("error=login_required")));
    Ok(())
}

/// What SDKs do that sign in only once they are told to.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_call_whose_body_comes_late_leaves_its_connection_open() -> Result<()> {
    let stage = Stage::start().await?;
    let address = stage.hub.base().trim_start_matches("http://").to_owned();
    let mut connection = RawConnection::open(&address).await?;
    for _ in 0..2 {
        let head = format!(
            "POST /mcp/team HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n"
        );
        connection.send(head.as_bytes()).await?;
        // The head arrives by itself: on a loaded machine it often does.
        tokio::time::sleep(Duration::from_millis(100)).await;
        connection.send(b"{}").await?;
        assert_eq!(connection.response("POST").await?.status, 401);
    }
    Ok(())
}
