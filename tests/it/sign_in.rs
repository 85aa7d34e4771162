//! The first owner, passwords, sessions: what a person does in a browser.

use anyhow::{Context as _, Result};
use trunkline_tests::browser::{Browser, Page};
use trunkline_tests::hub::TestHub;

const CONFIGURATION: &str = "profiles: {}\n";
const PASSWORD: &str = "correct horse battery";

/// The setup link that a fresh hub prints.
async fn setup_link(hub: &TestHub) -> Result<String> {
    let line = hub.until_output(|line| line.contains("/setup/tll_")).await?;
    let start = line.find(hub.base()).context("the link is absolute")?;
    Ok(line[start..].split_whitespace().next().unwrap_or_default().to_owned())
}

/// A browser in which the first owner has made their account.
async fn owner(hub: &TestHub) -> Result<(Browser, Page)> {
    let mut browser = Browser::new();
    let link = setup_link(hub).await?;
    let form = browser.open(&link).await?.form("/setup/")?;
    let form = form.set("login", "Ann@Example.org")?.set("name", "Ann")?;
    let form = form.set("password", PASSWORD)?.set("again", PASSWORD)?;
    let page = browser.submit(&form, "").await?;
    Ok((browser, page))
}

async fn sign_in(browser: &mut Browser, url: &str, password: &str) -> Result<Page> {
    let form = browser.open(url).await?.form("/login")?;
    let form = form.set("login", "ann@example.org")?.set("password", password)?;
    browser.submit(&form, "").await
}

#[tokio::test]
async fn the_first_owner_makes_their_account_by_the_printed_link_and_signs_in_with_it() -> Result<()> {
    let hub = TestHub::start(CONFIGURATION).await?;
    let link = setup_link(&hub).await?;
    let (mut browser, page) = owner(&hub).await?;
    assert_eq!(page.url.path(), "/account");
    assert!(page.body.contains("ann@example.org") && page.body.contains("owner"), "{}", page.body);

    let again = Browser::new().open(&link).await?;
    assert_eq!(again.status, 404, "the link opens once");
    let out = browser.submit(&page.form("/logout")?, "").await?;
    assert_eq!(out.url.path(), "/login");
    assert_eq!(browser.open(&format!("{}/account", hub.base())).await?.url.path(), "/login");

    let wrong = sign_in(&mut browser, &format!("{}/login", hub.base()), "wrong horse").await?;
    assert_eq!(wrong.status, 401);
    let there = sign_in(&mut browser, &format!("{}/login?next=/account?a=b", hub.base()), PASSWORD).await?;
    assert_eq!((there.url.path(), there.url.query()), ("/account", Some("a=b")));
    assert!(!hub.output().contains(PASSWORD));
    Ok(())
}

#[tokio::test]
async fn a_sign_in_leads_to_no_other_site() -> Result<()> {
    let hub = TestHub::start(CONFIGURATION).await?;
    owner(&hub).await?;
    for next in ["//evil.example", "/%5Cevil.example", "https://evil.example/", "/%09/evil.example"] {
        let url = format!("{}/login?next={next}", hub.base());
        let page = sign_in(&mut Browser::new(), &url, PASSWORD).await?;
        assert_eq!(page.url.path(), "/account", "{next}");
    }
    Ok(())
}

#[tokio::test]
async fn a_foreign_page_cannot_sign_anybody_in() -> Result<()> {
    let hub = TestHub::start(CONFIGURATION).await?;
    owner(&hub).await?;
    let endpoint = trunkline_tests::http::Endpoint::new(&format!("{}/login", hub.base()));
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = format!("login=ann%40example.org&password={}", PASSWORD.replace(' ', "+"));
    let answer = endpoint.send(http::Method::POST, body, &form).await?.whole().await?;
    assert_eq!(answer.status, 403, "without the token of a page");
    assert!(!answer.headers.contains_key("set-cookie"));
    Ok(())
}

#[tokio::test]
async fn guesses_are_slowed_down_while_the_owners_own_browser_goes_on() -> Result<()> {
    let hub = TestHub::start(CONFIGURATION).await?;
    let (mut own, page) = owner(&hub).await?;
    own.submit(&page.form("/logout")?, "").await?;
    let url = format!("{}/login", hub.base());
    let mut stranger = Browser::new();
    let mut last = None;
    for _ in 0..6 {
        last = Some(sign_in(&mut stranger, &url, "wrong horse").await?);
    }
    let last = last.context("six tries")?;
    assert_eq!(last.status, 429);
    assert!(last.headers.contains_key("retry-after"));
    assert_eq!(sign_in(&mut own, &url, PASSWORD).await?.url.path(), "/account");
    Ok(())
}

#[tokio::test]
async fn a_cookie_that_was_there_before_a_sign_in_opens_nothing_after_it() -> Result<()> {
    let hub = TestHub::start(CONFIGURATION).await?;
    let (mut browser, _) = owner(&hub).await?;
    let account = format!("{}/account", hub.base());
    let before = browser.cookie_header(&account.parse()?);
    let link = hub.cli(&["login", "link", "ann@example.org"]).await?;
    let page = browser.open(link.trim()).await?;
    browser.submit(&page.form("/login/link/")?, "").await?;
    let old = trunkline_tests::http::Endpoint::new(&account).get(&[("cookie", &before)]).await?;
    assert_eq!(old.status, 303, "sent to the sign-in page");
    assert_eq!(browser.open(&account).await?.url.path(), "/account");
    Ok(())
}

/// What a page says, without what is new on each, and what was typed.
fn said(page: &Page, typed: &str) -> (u16, String) {
    let token = page.form("/login").ok().and_then(|form| form.value("form_token").map(str::to_owned));
    let body = page.body.replace(&token.unwrap_or_default(), "TOKEN");
    (page.status.as_u16(), body.replace(&format!("value=\"{typed}\""), "TYPED"))
}

#[tokio::test]
async fn a_refused_name_says_nothing_about_who_is_here() -> Result<()> {
    let hub = TestHub::start(CONFIGURATION).await?;
    owner(&hub).await?;
    hub.cli(&["user", "create", "without@example.org"]).await?;
    hub.cli(&["user", "create", "gone@example.org"]).await?;
    hub.cli(&["user", "disable", "gone@example.org"]).await?;
    hub.cli(&["user", "create", "robot", "--service"]).await?;
    let url = format!("{}/login", hub.base());
    let mut answers = Vec::new();
    for name in ["ann@example.org", "nobody@example.org", "without@example.org", "gone@example.org", "robot"]
    {
        let mut browser = Browser::new();
        let form = browser.open(&url).await?.form("/login")?;
        let page = browser.submit(&form.set("login", name)?.set("password", "not the one")?, "").await?;
        let cookies: Vec<&str> =
            page.headers.get_all("set-cookie").iter().filter_map(|cookie| cookie.to_str().ok()).collect();
        assert!(!cookies.iter().any(|cookie| cookie.starts_with("trunkline_session")), "{cookies:?}");
        answers.push((name, said(&page, name)));
    }
    for (name, answer) in &answers {
        assert_eq!((answer.0, answer), (401, &answers[0].1), "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn a_link_that_opens_nothing_does_not_say_why() -> Result<()> {
    let hub = TestHub::start(CONFIGURATION).await?;
    owner(&hub).await?;
    let link = async |name: &str| {
        let made: serde_json::Value =
            serde_json::from_str(&hub.cli(&["user", "create", name, "--json"]).await?)?;
        anyhow::Ok(made["link"].as_str().context("no link")?.to_owned())
    };
    let (used, gone, deleted) = (link("used").await?, link("gone").await?, link("deleted").await?);
    let mut browser = Browser::new();
    let form = browser.open(&used).await?.form("/login/link/")?;
    browser.submit(&form, "").await?;
    hub.cli(&["user", "disable", "gone"]).await?;
    hub.cli(&["user", "delete", "deleted"]).await?;
    let (base, _) = used.rsplit_once('/').context("a link")?;
    let (guessed, malformed) = (format!("{base}/tll_{}", "A".repeat(49)), format!("{base}/x"));
    let expected = Browser::new().open(&malformed).await?;
    for link in [used.clone(), gone, deleted, guessed] {
        let page = Browser::new().open(&link).await?;
        assert_eq!((page.status.as_u16(), &page.body), (404, &expected.body), "{link}");
    }
    Ok(())
}
