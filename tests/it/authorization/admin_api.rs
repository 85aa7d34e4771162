//! Access tokens for the admin API: who gets one, and what it opens.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use trunkline_tests::http::Response;

use super::stage::{CALLBACK, Stage, VERIFIER, claims, error, parameter, tokens_in};

impl Stage {
    fn admin_api(&self) -> String {
        format!("{}/api/v1", self.hub.base())
    }

    async fn users(&self, credential: &str) -> Result<Response> {
        self.at("/api/v1/users").get(&[("authorization", &format!("Bearer {credential}"))]).await
    }

    /// The authorization request of a client that wants to administer.
    fn wants_to_administer(&self, client: &str) -> Vec<(String, String)> {
        let mut request = self.request(client, "team");
        for (name, value) in &mut request {
            if name == "resource" {
                *value = self.admin_api();
            }
        }
        request
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_an_operator_made_administers_as_far_as_its_users_role_goes() -> Result<()> {
    let mut stage = Stage::start().await?;
    let challenged = stage.at("/api/v1/users").get(&[]).await?.expect_status(401)?;
    let place = "/.well-known/oauth-protected-resource/api/v1";
    let all: Vec<&str> = challenged
        .headers
        .get_all("www-authenticate")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .collect();
    let wanted = format!("Bearer resource_metadata=\"{}{place}\", scope=\"admin\"", stage.hub.base());
    assert!(all.contains(&wanted.as_str()), "{all:?}");
    let metadata = stage.at(place).get(&[]).await?.json()?;
    assert_eq!(
        (&metadata["resource"], &metadata["scopes_supported"]),
        (&json!(stage.admin_api()), &json!(["admin"]))
    );

    stage.hub.cli(&["client", "create", "desk", "--redirect-uri", CALLBACK]).await?;
    let request = stage.wants_to_administer("desk");
    let page = stage.open(&request).await?;
    assert!(page.body.contains("administer this hub") && page.body.contains("owner"), "{}", page.body);
    let sent_to = stage.allowed(&request).await?;
    let code = parameter(&sent_to, "code").with_context(|| sent_to.to_string())?;
    let tokens = tokens_in(&stage.redeem("desk", &code).await?.expect_status(200)?)?;
    let said = claims(&tokens.access)?;
    assert_eq!((&said["aud"], &said["scope"]), (&json!(stage.admin_api()), &json!("admin")));
    stage.users(&tokens.access).await?.expect_status(200)?;
    assert_eq!(stage.call("team", &tokens.access).await?, 401, "it opens no profile");
    let listed: Value = serde_json::from_str(&stage.hub.cli(&["client", "grants", "--json"]).await?)?;
    assert_eq!(listed["grants"][0]["profile"], "api/v1", "{listed}");

    let trail = stage.hub.cli(&["audit", "export"]).await?;
    stage
        .at("/api/v1/teams")
        .post(r#"{"name":"made"}"#.to_owned(), &[("authorization", &format!("Bearer {}", tokens.access))])
        .await?
        .expect_status(201)?;
    let after = stage.hub.cli(&["audit", "export"]).await?;
    let event = after.lines().skip(trail.lines().count()).find(|line| line.contains("POST /api/v1/teams"));
    assert!(event.is_some_and(|event| event.contains("desk") && event.contains("ann")), "{event:?}");

    let grants = stage.live_grants().await?;
    stage.hub.cli(&["client", "revoke", &grants[0]]).await?;
    let refused = stage.users(&tokens.access).await?.expect_status(401)?;
    assert!(
        refused
            .headers
            .get_all("www-authenticate")
            .iter()
            .any(|value| value.to_str().is_ok_and(|text| text.contains("invalid_token")))
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_role_of_the_moment_counts() -> Result<()> {
    let stage = Stage::start().await?;
    stage.hub.cli(&["user", "create", "robot", "--service", "--role", "auditor"]).await?;
    let make = ["client", "create", "ci", "--confidential", "--service-account", "robot", "--json"];
    let made: Value = serde_json::from_str(&stage.hub.cli(&make).await?)?;
    let (secret, resource) = (made["secret"].as_str().context("no secret")?, stage.admin_api());
    let fields = [("grant_type", "client_credentials"), ("resource", resource.as_str()), ("scope", "admin")];
    let token =
        tokens_in(&stage.form_as("/oauth/token", ("ci", secret), &fields).await?.expect_status(200)?)?.access;
    stage.users(&token).await?.expect_status(200)?;
    stage.hub.cli(&["user", "set-role", "robot", "member"]).await?;
    stage.users(&token).await?.expect_status(403)?;
    stage.hub.cli(&["user", "disable", "robot"]).await?;
    stage.users(&token).await?.expect_status(401)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_keys_nor_tokens_of_profiles_nor_clients_of_strangers_administer() -> Result<()> {
    let mut stage = Stage::start().await?;
    let client = stage.public_client().await?;
    let of_profile = stage.tokens(&client).await?;
    let key = stage.hub.create_key("team").await?;
    for credential in [of_profile.access.as_str(), &of_profile.refresh, &key, "eyJ.eyJ.x", "x"] {
        stage.users(credential).await?.expect_status(401)?;
    }
    let cookie = stage.browser.cookie_header(&stage.admin_api().parse()?);
    let headers = [("cookie", cookie.as_str()), ("authorization", &format!("Bearer {key}"))];
    stage.at("/api/v1/users").get(&headers).await?.expect_status(401)?;
    stage.at("/api/v1/users").get(&[("cookie", &cookie)]).await?.expect_status(200)?;

    let sent_to =
        stage.open(&stage.wants_to_administer(&client)).await?.left_for.context("not told")?.parse()?;
    assert_eq!(parameter(&sent_to, "error").as_deref(), Some("invalid_target"), "it registered itself");
    let resource = stage.admin_api();
    let fields = [("client_id", client.as_str()), ("resource", &resource)];
    let refused = stage.form("/oauth/device", &fields).await?.expect_status(400)?;
    assert_eq!(error(&refused)?, "invalid_target");

    let make = [
        "client",
        "create",
        "portal",
        "--confidential",
        "--token-exchange",
        "--redirect-uri",
        CALLBACK,
        "--json",
    ];
    let made: Value = serde_json::from_str(&stage.hub.cli(&make).await?)?;
    let portal = ("portal", made["secret"].as_str().context("no secret")?);
    for (from, to) in
        [(stage.resource("team"), stage.admin_api()), (stage.admin_api(), stage.resource("team"))]
    {
        let mut request = stage.request("portal", "team");
        request.retain(|(name, _)| name != "resource");
        request.push(("resource".to_owned(), from.clone()));
        let code = parameter(&stage.allowed(&request).await?, "code").context("no code")?;
        let fields = [("grant_type", "authorization_code"), ("code", &code), ("code_verifier", VERIFIER)];
        let own =
            tokens_in(&stage.form_as("/oauth/token", portal, &fields).await?.expect_status(200)?)?.access;
        let fields = [
            ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token", own.as_str()),
            ("resource", &to),
        ];
        let refused = stage.form_as("/oauth/token", portal, &fields).await?.expect_status(400)?;
        assert_eq!(error(&refused)?, "invalid_target", "{from} to {to}");
    }
    Ok(())
}
