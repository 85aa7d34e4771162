//! Clients that operators make: service accounts, exchange, introspection.

use anyhow::{Context as _, Result};
use serde_json::Value;

use super::stage::{CALLBACK, Stage, VERIFIER, claims, error, tokens_in};

async fn make(stage: &Stage, arguments: &[&str]) -> Result<String> {
    let mut all = vec!["client", "create"];
    all.extend_from_slice(arguments);
    all.push("--json");
    let made: Value = serde_json::from_str(&stage.hub.cli(&all).await?)?;
    made["secret"].as_str().map(str::to_owned).context("no secret")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_account_gets_tokens_by_its_own_credentials() -> Result<()> {
    let stage = Stage::start().await?;
    stage.hub.cli(&["user", "create", "robot", "--service"]).await?;
    let secret = make(&stage, &["ci", "--confidential", "--service-account", "robot"]).await?;
    let resource = stage.resource("team");
    let fields = [("grant_type", "client_credentials"), ("resource", resource.as_str())];
    let mut last = String::new();
    for _ in 0..2 {
        let answer = stage.form_as("/oauth/token", ("ci", &secret), &fields).await?.expect_status(200)?;
        last = tokens_in(&answer)?.access;
        assert!(answer.json()?.get("refresh_token").is_none());
    }
    assert_eq!(stage.call("team", &last).await?, 200);
    assert_eq!(stage.live_grants().await?.len(), 1, "one grant, however often it asks");
    let closed = stage.resource("closed");
    let fields = [("grant_type", "client_credentials"), ("resource", closed.as_str())];
    let refused = stage.form_as("/oauth/token", ("ci", &secret), &fields).await?.expect_status(400)?;
    assert_eq!(error(&refused)?, "invalid_target", "it is no member");
    for wrong in ["tlc_wrong", ""] {
        let refused = stage.form_as("/oauth/token", ("ci", wrong), &fields).await?.expect_status(401)?;
        assert_eq!(error(&refused)?, "invalid_client");
        assert!(refused.header("www-authenticate").is_some());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_secret_goes_on_for_its_grace_and_no_longer() -> Result<()> {
    let stage = Stage::start().await?;
    stage.hub.cli(&["user", "create", "robot", "--service"]).await?;
    let first = make(&stage, &["ci", "--confidential", "--service-account", "robot"]).await?;
    let resource = stage.resource("team");
    let fields = [("grant_type", "client_credentials"), ("resource", resource.as_str())];
    let status = async |secret: &str| -> Result<u16> {
        Ok(stage.form_as("/oauth/token", ("ci", secret), &fields).await?.status.as_u16())
    };
    let rotate = async |grace: &str| -> Result<String> {
        Ok(stage.hub.cli(&["client", "rotate", "ci", "--grace", grace]).await?.trim().to_owned())
    };
    let second = rotate("1h").await?;
    assert_eq!((status(&first).await?, status(&second).await?), (200, 200));
    let third = rotate("0s").await?;
    assert_eq!((status(&first).await?, status(&second).await?, status(&third).await?), (401, 401, 200));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_client_that_may_exchanges_its_own_tokens_and_never_widens_them() -> Result<()> {
    let mut stage = Stage::start().await?;
    let secret =
        make(&stage, &["portal", "--confidential", "--token-exchange", "--redirect-uri", CALLBACK]).await?;
    let portal = ("portal", secret.as_str());
    let code = stage.code("portal", "team").await?;
    let fields = [("grant_type", "authorization_code"), ("code", &code), ("code_verifier", VERIFIER)];
    let own = tokens_in(&stage.form_as("/oauth/token", portal, &fields).await?.expect_status(200)?)?;
    let public = stage.public_client().await?;
    let foreign = stage.tokens(&public).await?;

    let exchange = |token: &str, resource: &str, scope: &str| {
        [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange".to_owned()),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token".to_owned()),
            ("subject_token", token.to_owned()),
            ("resource", resource.to_owned()),
            ("scope", scope.to_owned()),
        ]
    };
    let other = stage.resource("other");
    for (token, resource, scope, expected) in [
        (own.access.as_str(), stage.resource("closed"), "mcp", "invalid_target"),
        (&own.access, "https://elsewhere.example/".to_owned(), "mcp", "invalid_target"),
        (&own.access, other.clone(), "mcp offline_access", "invalid_scope"),
        (&foreign.access, other.clone(), "mcp", "invalid_grant"),
        ("eyJ.eyJ.x", other.clone(), "mcp", "invalid_grant"),
        (&own.refresh, other.clone(), "mcp", "invalid_grant"),
    ] {
        let fields = exchange(token, &resource, scope);
        let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let refused = stage.form_as("/oauth/token", portal, &fields).await?.expect_status(400)?;
        assert_eq!(error(&refused)?, expected, "{resource} {scope}");
    }
    let fields = exchange(&own.access, &other, "mcp");
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let answer = stage.form_as("/oauth/token", portal, &fields).await?.expect_status(200)?;
    let exchanged = tokens_in(&answer)?;
    assert_eq!(answer.json()?["issued_token_type"], "urn:ietf:params:oauth:token-type:access_token");
    assert_eq!(claims(&exchanged.access)?["sub"], claims(&own.access)?["sub"]);
    assert_eq!(stage.call("other", &exchanged.access).await?, 200);
    assert_eq!(stage.call("team", &exchanged.access).await?, 401);

    let mut by_public = vec![("client_id", public.as_str())];
    by_public.extend(fields);
    let refused = stage.form("/oauth/token", &by_public).await?.expect_status(400)?;
    assert_eq!(error(&refused)?, "unauthorized_client");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_asks_about_its_own_tokens_alone() -> Result<()> {
    let mut stage = Stage::start().await?;
    let secret = make(&stage, &["portal", "--confidential", "--redirect-uri", CALLBACK]).await?;
    let portal = ("portal", secret.as_str());
    let code = stage.code("portal", "team").await?;
    let fields = [("grant_type", "authorization_code"), ("code", &code), ("code_verifier", VERIFIER)];
    let own = tokens_in(&stage.form_as("/oauth/token", portal, &fields).await?.expect_status(200)?)?;
    let public = stage.public_client().await?;
    let foreign = stage.tokens(&public).await?;
    let ask = async |token: &str| {
        let answer = stage.form_as("/oauth/introspect", portal, &[("token", token)]).await?;
        answer.expect_status(200)?.json()
    };
    let described = ask(&own.access).await?;
    assert_eq!(
        (&described["active"], &described["aud"]),
        (&Value::Bool(true), &stage.resource("team").into())
    );
    assert_eq!(ask(&own.refresh).await?["active"], true);
    for token in [foreign.access.as_str(), &foreign.refresh, "junk"] {
        assert_eq!(ask(token).await?, serde_json::json!({ "active": false }));
    }
    let public = [("client_id", public.as_str()), ("token", &foreign.access)];
    stage.form("/oauth/introspect", &public).await?.expect_status(401)?;
    Ok(())
}
