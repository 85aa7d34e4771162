//! Clients that register themselves (RFC 7591, RFC 7592).

use anyhow::{Context as _, Result};
use http::Method;
use serde_json::{Value, json};

use super::stage::{Stage, error};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_reads_changes_and_deletes_its_own_registration() -> Result<()> {
    let stage = Stage::start().await?;
    let metadata = json!({ "client_name": "One", "redirect_uris": ["https://app.example/cb"], "x": 1 });
    let made = stage.register(&metadata).await?.expect_status(201)?.json()?;
    assert!(made["client_secret"].as_str().is_some_and(|secret| secret.starts_with("tlc_")));
    assert_eq!(made.get("x"), None, "what is not understood is not registered");
    let token = format!("Bearer {}", made["registration_access_token"].as_str().context("no token")?);
    let own =
        trunkline_tests::http::Endpoint::new(made["registration_client_uri"].as_str().context("no URI")?);
    let authorized = [("authorization", token.as_str())];

    let read = own.get(&authorized).await?.expect_status(200)?.json()?;
    assert_eq!(read["client_name"], "One");
    assert!(read.get("client_secret").is_none() && read.get("registration_access_token").is_none());
    own.get(&[]).await?.expect_status(401)?;
    own.get(&[("authorization", "Bearer tlg_wrong")]).await?.expect_status(401)?;

    let changed = json!({ "client_name": "Two", "redirect_uris": ["https://app.example/other"] });
    let replaced = own.send(Method::PUT, changed.to_string(), &authorized).await?.whole().await?;
    let replaced = replaced.expect_status(200)?.json()?;
    assert_eq!(replaced["redirect_uris"], json!(["https://app.example/other"]));
    let bad = json!({ "redirect_uris": ["http://app.example/"] });
    let refused = own.send(Method::PUT, bad.to_string(), &authorized).await?.whole().await?;
    assert_eq!(error(&refused.expect_status(400)?)?, "invalid_redirect_uri");

    own.send(Method::DELETE, String::new(), &authorized).await?.whole().await?.expect_status(204)?;
    own.get(&authorized).await?.expect_status(401)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_registered_is_refused_with_its_reason() -> Result<()> {
    let stage = Stage::start().await?;
    let with = |name: &str, value: Value| {
        let mut metadata = json!({ "redirect_uris": ["https://app.example/cb"] });
        metadata[name] = value;
        metadata
    };
    for (metadata, expected) in [
        (with("redirect_uris", json!(["javascript:alert(1)"])), "invalid_redirect_uri"),
        (with("redirect_uris", json!(["http://app.example/"])), "invalid_redirect_uri"),
        (with("redirect_uris", json!([])), "invalid_redirect_uri"),
        (with("redirect_uris", json!("https://app.example/cb")), "invalid_client_metadata"),
        (with("software_statement", json!("eyJ")), "invalid_client_metadata"),
        (with("grant_types", json!(["client_credentials"])), "invalid_client_metadata"),
        (with("client_name", json!("x".repeat(101))), "invalid_client_metadata"),
        (with("client_name", json!("Claude\u{202e}")), "invalid_client_metadata"),
        (with("contacts", json!("x".repeat(70_000))), "invalid_client_metadata"),
        (json!("x"), "invalid_client_metadata"),
    ] {
        let answer = stage.register(&metadata).await?.expect_status(400)?;
        assert_eq!(error(&answer)?, expected, "{metadata}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_registrations_ends() -> Result<()> {
    let stage = Stage::start().await?;
    let metadata = json!({ "redirect_uris": ["https://app.example/cb"] });
    let mut refused = 0;
    for _ in 0..80 {
        let status = stage.register(&metadata).await?.status;
        refused += usize::from(status == 429);
    }
    assert_eq!(refused, 20, "60 in an hour from one address");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_registers_nobody_does_not_say_it_would() -> Result<()> {
    let stage = Stage::with("authorization: { registration: false, client_documents: false }\n").await?;
    let metadata = stage.at("/.well-known/oauth-authorization-server").get(&[]).await?.json()?;
    assert!(metadata.get("registration_endpoint").is_none());
    assert_eq!(metadata["client_id_metadata_document_supported"], false);
    let client = json!({ "redirect_uris": ["https://app.example/cb"] });
    stage.register(&client).await?.expect_status(403)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_decided_about_clients_counts_from_the_reload_on() -> Result<()> {
    let stage = Stage::start().await?;
    let client = json!({ "redirect_uris": ["https://app.example/cb"] });
    stage.register(&client).await?.expect_status(201)?;
    let closed = "authorization: { registration: false, client_documents: false }\nprofiles: { team: {} }\n";
    stage.hub.rewrite_configuration(closed)?;
    let refused = async {
        while stage.register(&client).await?.status != 403 {
            tokio::task::yield_now().await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), refused).await??;
    let metadata = stage.at("/.well-known/oauth-authorization-server").get(&[]).await?.json()?;
    assert!(metadata.get("registration_endpoint").is_none(), "{metadata}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_proxy_each_client_has_its_own_share() -> Result<()> {
    let stage =
        Stage::with("trusted_proxies: [127.0.0.1]\nauthorization: { client_documents: false }\n").await?;
    let client = json!({ "redirect_uris": ["https://app.example/cb"] }).to_string();
    let register = async |from: &str| {
        let headers = [("content-type", "application/json"), ("x-forwarded-for", from)];
        anyhow::Ok(stage.at("/oauth/register").post(client.clone(), &headers).await?.status.as_u16())
    };
    for _ in 0..60 {
        // What stands before the proxy's own word is the client's, and is not believed.
        assert_eq!(register("198.51.100.9, 203.0.113.7").await?, 201);
    }
    assert_eq!(register("198.51.100.10, 203.0.113.7").await?, 429);
    assert_eq!(register("203.0.113.8").await?, 201, "somebody else");
    let refused =
        stage.at("/oauth/register").post(client.clone(), &[("content-type", "application/json")]).await?;
    assert_eq!(refused.status.as_u16(), 201, "the proxy itself");
    Ok(())
}
