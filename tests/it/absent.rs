//! What the configuration no longer names: what can be seen of it at once.
//! What becomes of it after a day is tested on a clock that tests move.

use anyhow::{Context as _, Result};
use trunkline_tests::hub::TestHub;
use trunkline_tests::mcp_client::ModernClient;
use trunkline_tests::process::signal;

const BOTH: &str =
    "profiles: { gone: { auth: api_key, servers: {} }, stays: { auth: api_key, servers: {} } }\n";
const ONE: &str = "profiles: { stays: { auth: api_key, servers: {} } }\n";

async fn rewrite(hub: &TestHub, configuration: &str) -> Result<()> {
    hub.rewrite_configuration(configuration)?;
    signal(hub.id()?, "HUP").await
}

/// Asks until the key opens the profile, or no longer does.
async fn until_open(hub: &TestHub, key: &str, is_open: bool) -> Result<()> {
    let client = ModernClient::new(hub.endpoint("gone").with_key(key));
    for _ in 0..100 {
        let answer = client.request("tools/list", "{}").await;
        if answer.is_ok_and(|answer| answer.result().is_ok()) == is_open {
            return Ok(());
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    anyhow::bail!("open should be {is_open}: {}", hub.output())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_is_gone_is_told_of_and_as_it_was_when_it_is_soon_back() -> Result<()> {
    let hub = TestHub::start(BOTH).await?;
    let key = hub.create_key("gone").await?;
    until_open(&hub, &key, true).await?;
    rewrite(&hub, ONE).await?;
    let said = hub.until_output(|line| line.contains("no longer names this profile")).await;
    let said = said.with_context(|| hub.output())?;
    assert!(said.contains("profile=\"gone\"") && said.contains("until="), "{said}");
    until_open(&hub, &key, false).await?;

    let hub = hub.kill_and_restart().await?;
    until_open(&hub, &key, false).await?;
    rewrite(&hub, BOTH).await?;
    until_open(&hub, &key, true).await?;
    assert!(!hub.output().contains("no longer names this profile"), "it was told before: {}", hub.output());
    let trail = hub.cli(&["audit", "export"]).await?;
    assert!(!trail.contains("absent/"), "nothing has ended: {trail}");
    Ok(())
}
