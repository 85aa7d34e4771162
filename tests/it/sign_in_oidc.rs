//! Sign-in through an identity provider, npm `oidc-provider`.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use trunkline_tests::browser::{Browser, Page};
use trunkline_tests::hub::TestHub;
use trunkline_tests::identity_provider::{CLIENT_ID, CLIENT_SECRET, IdentityProvider};
use trunkline_tests::packages::Packages;

fn people() -> Value {
    json!({
        "ann": { "email": "ann@example.org", "email_verified": true, "name": "Ann", "groups": ["eng", "ops"] },
        "bob": { "email": "bob@example.org", "email_verified": true, "name": "Bob", "groups": ["sales"] },
        "eve": { "email": "ann@example.org", "email_verified": true, "name": "Eve", "groups": [] },
        "mallory": { "email": "mallory@evil.example", "email_verified": true, "name": "Mallory" },
    })
}

fn configuration(port: u16, more: &str) -> String {
    format!(
        "sign_in:\n  issuers:\n    corp:\n      issuer: http://127.0.0.1:{port}\n      label: Example Corp\n      \
         client_id: {CLIENT_ID}\n      client_secret: \"{CLIENT_SECRET}\"\n      roles:\n        \
         - {{ claim: groups, is: ops, role: operator }}\n{more}"
    )
}

struct Company {
    hub: TestHub,
    provider: IdentityProvider,
}

impl Company {
    async fn start(test: &str, more: &str, in_id_token: bool) -> Result<Option<Self>> {
        let Some(packages) = Packages::or_skip(test)? else { return Ok(None) };
        let port = IdentityProvider::free_port().await?;
        let hub = TestHub::start(&configuration(port, more)).await?;
        let provider = IdentityProvider::start(&packages, port, hub.base(), &people(), in_id_token).await?;
        Ok(Some(Self { hub, provider }))
    }

    fn account(&self) -> String {
        format!("{}/account", self.hub.base())
    }

    /// Opens the provider's button of the sign-in page and signs in there.
    async fn sign_in(&self, browser: &mut Browser, account: &str) -> Result<Page> {
        let page = browser.open(&format!("{}/login/issuer/corp?next=/account", self.hub.base())).await?;
        self.provider.sign_in(browser, page, account).await.with_context(|| self.hub.output())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_with_the_roles_and_groups_that_the_provider_says() -> Result<()> {
    for in_id_token in [true, false] {
        let Some(company) = Company::start("people_sign_in_with_the_roles", "", in_id_token).await? else {
            return Ok(());
        };
        let page = Browser::new().open(&format!("{}/login", company.hub.base())).await?;
        assert!(page.body.contains("Sign in with Example Corp"), "{}", page.body);
        let ann = company.sign_in(&mut Browser::new(), "ann").await?;
        assert_eq!(ann.url.as_str(), company.account(), "{}", ann.body);
        for part in ["ann@example.org", "operator", "eng, ops"] {
            assert!(ann.body.contains(part), "{part} is not in {}", ann.body);
        }
        let bob = company.sign_in(&mut Browser::new(), "bob").await?;
        assert!(bob.body.contains("member") && bob.body.contains("sales"), "{}", bob.body);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_ends_in_the_browser_that_began_it_and_only_once() -> Result<()> {
    let Some(company) = Company::start("a_sign_in_ends_in_the_browser", "", true).await? else {
        return Ok(());
    };
    let callback = format!("{}/login/callback/", company.hub.base());
    let mut own = Browser::new().stopping_at(&callback);
    let page = company.sign_in(&mut own, "ann").await?;
    let stolen = page.left_for.context("the browser stopped at the callback")?;
    let victim = Browser::new().open(&stolen).await?;
    assert_eq!((victim.status.as_u16(), victim.headers.get("set-cookie")), (400, None));

    let cookies = own.cookie_header(&stolen.parse()?);
    let endpoint = trunkline_tests::http::Endpoint::new(&stolen);
    let first = endpoint.get(&[("cookie", &cookies)]).await?;
    assert_eq!((first.status.as_u16(), first.header("location")), (303, Some("/account")));
    let again = endpoint.get(&[("cookie", &cookies)]).await?;
    assert_ne!(again.status, 303, "a code counts once");
    let forged = stolen.replace("state=", "state=x");
    let other = trunkline_tests::http::Endpoint::new(&forged).get(&[("cookie", &cookies)]).await?;
    assert_eq!(other.status, 400);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_the_provider_replaces_are_fetched_and_one_that_is_away_is_told() -> Result<()> {
    let Some(company) = Company::start("keys_that_the_provider_replaces", "", true).await? else {
        return Ok(());
    };
    let mut browser = Browser::new();
    assert_eq!(company.sign_in(&mut browser, "ann").await?.url.as_str(), company.account());
    company.provider.replace_keys().await?;
    let bob = company.sign_in(&mut Browser::new(), "bob").await?;
    assert_eq!(bob.url.as_str(), company.account(), "{}\n{}", bob.body, company.hub.output());

    let begun = Browser::new().stopping_at(&format!("{}/login/callback/", company.hub.base()));
    let mut begun = begun;
    let page = company.sign_in(&mut begun, "ann").await?;
    let callback = page.left_for.context("the browser stopped at the callback")?;
    let account = company.account();
    let cookies = begun.cookie_header(&callback.parse()?);
    company.provider.kill().await?;
    let refused = trunkline_tests::http::Endpoint::new(&callback).get(&[("cookie", &cookies)]).await?;
    assert_eq!(refused.status, 502);
    assert!(refused.text()?.contains("cannot be reached"), "{}", refused.text()?);
    assert_eq!(browser.open(&account).await?.url.path(), "/account", "who is signed in stays so");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_at_the_provider_ends_the_session_here_and_the_other_way_round() -> Result<()> {
    let Some(company) = Company::start("a_sign_out_at_the_provider", "", true).await? else {
        return Ok(());
    };
    let mut browser = Browser::new();
    company.sign_in(&mut browser, "ann").await?;
    let page = browser.open(&format!("{}/session/end", company.provider.issuer())).await?;
    browser.submit(&page.form("/session/end")?.with("logout", "yes"), "").await?;
    assert_eq!(
        browser.open(&company.account()).await?.url.path(),
        "/login",
        "{} {}",
        company.provider.output(),
        company.hub.output()
    );

    let mut browser = Browser::new();
    let page = company.sign_in(&mut browser, "ann").await?;
    let there = browser.submit(&page.form("/logout")?, "").await?;
    assert!(
        there.url.as_str().starts_with(&format!("{}/session/end?", company.provider.issuer())),
        "{}",
        there.url
    );
    assert!(there.url.as_str().contains("id_token_hint="));
    assert_eq!(browser.open(&company.account()).await?.url.path(), "/login");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_makes_nobody_somebody_else() -> Result<()> {
    let Some(company) = Company::start("an_address_makes_nobody", "", true).await? else { return Ok(()) };
    company.sign_in(&mut Browser::new(), "ann").await?;
    let eve = company.sign_in(&mut Browser::new(), "eve").await?;
    assert_eq!(eve.status, 403);
    assert!(eve.body.contains("Somebody else has the sign-in name"), "{}", eve.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_allowed_domains_sign_in_and_users_made_before_are_adopted_where_that_is_said() -> Result<()> {
    let more =
        "      allow: { domains: [example.org] }\n      adopt_users: true\n      create_users: false\n";
    let Some(company) = Company::start("only_allowed_domains", more, true).await? else { return Ok(()) };
    let hub = &company.hub;
    hub.cli(&["user", "create", "bob@example.org", "--role", "auditor"]).await?;
    assert_eq!(company.sign_in(&mut Browser::new(), "mallory").await?.status, 403);
    assert_eq!(company.sign_in(&mut Browser::new(), "ann").await?.status, 403, "has no account");
    let mut browser = Browser::new();
    let bob = company.sign_in(&mut browser, "bob").await?;
    assert_eq!(bob.url.as_str(), company.account(), "{}", bob.body);
    hub.cli(&["user", "disable", "bob@example.org"]).await?;
    assert_eq!(browser.open(&company.account()).await?.url.path(), "/login", "at once");
    assert_eq!(company.sign_in(&mut Browser::new(), "bob").await?.status, 403);
    Ok(())
}
