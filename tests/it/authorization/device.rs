//! A device without a browser (RFC 8628).

use anyhow::{Context as _, Result};
use trunkline_tests::browser::Browser;
use trunkline_tests::http::Response;

use super::stage::{Stage, error, tokens_in};

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

async fn ask(stage: &Stage, client: &str, code: &str) -> Result<Response> {
    let fields = [("grant_type", GRANT), ("client_id", client), ("device_code", code)];
    stage.form("/oauth/token", &fields).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_is_allowed_by_its_code_after_a_question() -> Result<()> {
    let mut stage = Stage::start().await?;
    let client = stage.public_client().await?;
    let resource = stage.resource("team");
    let fields = [("client_id", client.as_str()), ("resource", &resource)];
    let started = stage.form("/oauth/device", &fields).await?.expect_status(200)?.json()?;
    let text = |name: &str| started[name].as_str().map(str::to_owned).with_context(|| started.to_string());
    let (device, complete) = (text("device_code")?, text("verification_uri_complete")?);
    assert_eq!(error(&ask(&stage, &client, &device).await?.expect_status(400)?)?, "authorization_pending");
    assert_eq!(error(&ask(&stage, &client, &device).await?.expect_status(400)?)?, "slow_down");

    let stranger = Browser::new().open(&complete).await?;
    assert_eq!(stranger.url.path(), "/login");
    let page = stage.browser.open(&complete).await?;
    let form = page.form("device")?;
    assert_eq!(form.value("user_code"), Some(text("user_code")?.as_str()), "filled in, not taken");
    let wrong = stage.browser.submit(&form.clone().set("user_code", "BBBB-BBBB")?, "look").await?;
    assert!(wrong.body.contains("No device waits"), "{}", wrong.body);
    let question = stage.browser.submit(&form, "look").await?;
    assert!(question.body.contains("By hand") && question.body.contains("team"), "{}", question.body);
    let done = stage.browser.submit(&question.form("device")?, "allow").await?;
    assert!(done.body.contains("signed in"), "{}", done.body);
    let twice = stage.browser.submit(&question.form("device")?, "allow").await?;
    assert!(!twice.body.contains("The device is signed in"), "{}", twice.body);

    // The device waits as it was told before it asks again.
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let tokens = tokens_in(&ask(&stage, &client, &device).await?.expect_status(200)?)?;
    assert_eq!(stage.call("team", &tokens.access).await?, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn user_codes_cannot_be_guessed_at_will() -> Result<()> {
    let mut stage = Stage::start().await?;
    let url = format!("{}/device", stage.hub.base());
    let form = stage.browser.open(&url).await?.form("device")?.set("user_code", "BBBB-BBBB")?;
    let mut statuses = Vec::new();
    for _ in 0..31 {
        statuses.push(stage.browser.submit(&form, "look").await?.status.as_u16());
    }
    assert_eq!((statuses[29], statuses[30]), (400, 429), "30 in an hour");
    Ok(())
}
