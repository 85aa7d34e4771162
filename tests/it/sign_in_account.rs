//! What people manage themselves, and what an owner takes from them.

use anyhow::{Context as _, Result};
use trunkline_tests::browser::{Browser, Page};
use trunkline_tests::http::Endpoint;
use trunkline_tests::hub::TestHub;

const CONFIGURATION: &str = "profiles:\n  everybody: {}\n  platform: { members: { teams: [platform] } }\n";
const ASK: &str = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;

/// A browser that is signed in as `login`, by a link, and its account page.
async fn signed_in(hub: &TestHub, login: &str) -> Result<(Browser, Page)> {
    let mut browser = Browser::new();
    let link = hub.cli(&["login", "link", login]).await?;
    let page = browser.open(link.trim()).await?;
    let page = browser.submit(&page.form("/login/link/")?, "").await?;
    Ok((browser, page))
}

/// The status with which a profile answers the bearer of `key`.
async fn status(hub: &TestHub, profile: &str, key: &str) -> Result<u16> {
    let endpoint = hub.endpoint(profile).with_key(key);
    let accept = [("accept", "application/json, text/event-stream")];
    Ok(endpoint.post(ASK.to_owned(), &accept).await?.status.as_u16())
}

fn key_in(text: &str) -> Result<String> {
    let start = text.find("tlk_").context("no key")?;
    Ok(text[start..]
        .chars()
        .take_while(|character| character.is_ascii_alphanumeric() || *character == '_')
        .collect())
}

#[tokio::test]
async fn a_person_makes_a_key_for_a_profile_that_admits_them_and_revokes_it() -> Result<()> {
    let hub = TestHub::start(CONFIGURATION).await?;
    hub.cli(&["user", "create", "ann"]).await?;
    let (mut browser, page) = signed_in(&hub, "ann").await?;
    assert!(page.body.contains("everybody") && !page.body.contains("<option>platform"), "{}", page.body);
    let form = page.form("/account/keys")?.with("profile", "everybody").set("name", "laptop")?;
    let made = browser.submit(&form, "").await?;
    let key = key_in(&made.body)?;
    assert_eq!(status(&hub, "everybody", &key).await?, 200);
    let foreign = page.form("/account/keys")?.with("profile", "platform");
    assert_eq!(browser.submit(&foreign, "").await?.status, 404);

    let page = browser.open(&format!("{}/account", hub.base())).await?;
    assert!(page.body.contains("laptop"), "{}", page.body);
    browser.submit(&page.form("/revoke")?, "").await?;
    assert_eq!(status(&hub, "everybody", &key).await?, 401);
    Ok(())
}

#[tokio::test]
async fn nobody_ends_a_session_or_key_of_somebody_else() -> Result<()> {
    let hub = TestHub::start(CONFIGURATION).await?;
    for login in ["ann", "eve"] {
        hub.cli(&["user", "create", login]).await?;
    }
    let printed = hub.cli(&["key", "create", "--profile", "everybody", "--user", "ann", "--json"]).await?;
    let created: serde_json::Value = serde_json::from_str(&printed)?;
    let (mut ann, _) = signed_in(&hub, "ann").await?;
    let (eve, page) = signed_in(&hub, "eve").await?;
    let sessions: serde_json::Value = serde_json::from_str(&hub.cli(&["login", "list", "--json"]).await?)?;
    let session = sessions["sessions"].as_array().context("a list")?.iter().find(|one| one["login"] == "ann");
    let session = session.context("a session")?["id"].as_str().context("an id")?;
    let token = page.form("/logout")?.value("form_token").context("a token")?.to_owned();
    let cookies = eve.cookie_header(&hub.base().parse()?);
    let id = created["id"].as_str().context("an id")?;
    for path in [format!("keys/{id}"), format!("sessions/{session}")] {
        let endpoint = Endpoint::new(&format!("{}/account/{path}/revoke", hub.base()));
        let headers = [("content-type", "application/x-www-form-urlencoded"), ("cookie", cookies.as_str())];
        let body = format!("form_token={token}");
        let answer = endpoint.send(http::Method::POST, body, &headers).await?.whole().await?;
        assert_eq!(answer.status, 404, "{path}");
    }
    assert_eq!(status(&hub, "everybody", created["key"].as_str().context("a key")?).await?, 200);
    assert_eq!(ann.open(&format!("{}/account", hub.base())).await?.url.path(), "/account");
    Ok(())
}

#[tokio::test]
async fn who_is_disabled_or_leaves_a_team_is_out_at_once() -> Result<()> {
    let hub = TestHub::start(CONFIGURATION).await?;
    hub.cli(&["user", "create", "ann"]).await?;
    hub.cli(&["team", "create", "platform"]).await?;
    let key = key_in(&hub.cli(&["key", "create", "--profile", "platform", "--user", "ann"]).await?)?;
    assert_eq!(status(&hub, "platform", &key).await?, 403, "no member");
    hub.cli(&["team", "add", "platform", "ann"]).await?;
    assert_eq!(status(&hub, "platform", &key).await?, 200);
    hub.cli(&["team", "remove", "platform", "ann"]).await?;
    assert_eq!(status(&hub, "platform", &key).await?, 403);
    hub.cli(&["team", "add", "platform", "ann"]).await?;
    let (mut browser, _) = signed_in(&hub, "ann").await?;
    hub.cli(&["user", "disable", "ann"]).await?;
    assert_eq!(status(&hub, "platform", &key).await?, 401);
    assert_eq!(browser.open(&format!("{}/account", hub.base())).await?.url.path(), "/login");
    hub.cli(&["user", "enable", "ann"]).await?;
    assert_eq!(status(&hub, "platform", &key).await?, 401, "keys of before stay revoked");
    assert_eq!(browser.open(&format!("{}/account", hub.base())).await?.url.path(), "/login");
    Ok(())
}

#[tokio::test]
async fn a_rotated_key_has_two_secrets_for_a_while() -> Result<()> {
    let hub = TestHub::start(CONFIGURATION).await?;
    let printed = hub.cli(&["key", "create", "--profile", "everybody", "--json"]).await?;
    let created: serde_json::Value = serde_json::from_str(&printed)?;
    let (id, old) = (created["id"].as_str().context("an id")?, created["key"].as_str().context("a key")?);
    let new = key_in(&hub.cli(&["key", "rotate", id, "--grace", "1h"]).await?)?;
    assert_eq!(status(&hub, "everybody", old).await?, 200);
    assert_eq!(status(&hub, "everybody", &new).await?, 200);
    let newest = key_in(&hub.cli(&["key", "rotate", id, "--grace", "0s"]).await?)?;
    assert_eq!(status(&hub, "everybody", &new).await?, 401);
    assert_eq!(status(&hub, "everybody", old).await?, 401);
    assert_eq!(status(&hub, "everybody", &newest).await?, 200);
    Ok(())
}

#[tokio::test]
async fn the_last_owner_stays() -> Result<()> {
    let hub = TestHub::start(CONFIGURATION).await?;
    hub.cli(&["user", "create", "ann", "--role", "owner"]).await?;
    for command in [["user", "disable", "ann"], ["user", "delete", "ann"]] {
        let refused = hub.cli(&command).await.err().context("refused")?;
        assert!(format!("{refused:#}").contains("last owner"), "{refused:#}");
    }
    assert!(hub.cli(&["user", "set-role", "ann", "member"]).await.is_err());
    hub.cli(&["user", "create", "bob", "--role", "owner"]).await?;
    hub.cli(&["user", "set-role", "ann", "member"]).await?;
    Ok(())
}
