//! People of a hub, who sign in as people do.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::browser::Browser;
use crate::hub::TestHub;

pub const PASSWORD: &str = "correct horse battery staple";

/// The link that a fresh hub prints for its first owner.
pub async fn setup_link(hub: &TestHub) -> Result<String> {
    let line = hub.until_output(|line| line.contains("/setup/tll_")).await?;
    let link = line.split_whitespace().find(|word| word.contains("/setup/")).context("no link")?;
    Ok(link.to_owned())
}

/// Makes the first owner, `owner`, by that link; their browser.
pub async fn first_owner(hub: &TestHub) -> Result<Browser> {
    let mut browser = Browser::new();
    let form = browser.open(&setup_link(hub).await?).await?.form("/setup/")?;
    let form = form.set("login", "owner")?.set("name", "Owner")?;
    let page = browser.submit(&form.set("password", PASSWORD)?.set("again", PASSWORD)?, "").await?;
    ensure!(page.status.is_success(), "{page:?}");
    Ok(browser)
}

/// Makes a user with a role and signs them in by the link that is printed; their browser.
pub async fn signed_in(hub: &TestHub, login: &str, role: &str) -> Result<Browser> {
    let printed = hub.cli(&["user", "create", login, "--role", role, "--json"]).await?;
    let made: Value = serde_json::from_str(&printed)?;
    let mut browser = Browser::new();
    let page = browser.open(made["link"].as_str().context("no link")?).await?;
    let page = browser.submit(&page.form("/login/link/")?, "").await?;
    ensure!(page.status.is_success(), "{page:?}");
    Ok(browser)
}
