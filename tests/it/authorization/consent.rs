//! A person is asked, in the browser that they sit in front of.

use anyhow::Result;
use serde_json::json;
use trunkline_tests::http::Endpoint;
use url::form_urlencoded::Serializer;

use super::stage::{CHALLENGE, Stage, parameter};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_client_asks_although_somebody_is_signed_in() -> Result<()> {
    let mut stage = Stage::start().await?;
    let client = stage.public_client().await?;
    let page = stage.open(&stage.request(&client, "team")).await?;
    for told in ["By hand", "nobody has verified", "team", "ann", "this computer"] {
        assert!(page.body.contains(told), "{told} is not in {}", page.body);
    }
    let policy = page.headers["content-security-policy"].to_str()?;
    assert!(policy.contains("frame-ancestors 'none'") && !policy.contains("script-src"), "{policy}");
    let denied = stage.browser.submit(&page.form("consent")?, "deny").await?;
    let sent_to = denied.left_for.unwrap_or_default().parse()?;
    assert_eq!(parameter(&sent_to, "error").as_deref(), Some("access_denied"));

    stage.tokens(&client).await?;
    let again = stage.open(&stage.request(&client, "team")).await?;
    assert!(again.left_for.is_some(), "the same client in the same profile is not asked about twice");
    let elsewhere = stage.open(&stage.request(&client, "other")).await?;
    assert!(elsewhere.form("consent").is_ok(), "another profile is");
    let mut wanted = stage.request(&client, "team");
    wanted.push(("prompt".to_owned(), "consent".to_owned()));
    assert!(stage.open(&wanted).await?.form("consent").is_ok());
    let other_client = stage.public_client().await?;
    assert!(stage.open(&stage.request(&other_client, "team")).await?.form("consent").is_ok());
    Ok(())
}

/// CVE-2026-27124 and its like: what was asked in one browser is answered there.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_counts_only_in_the_session_that_was_asked() -> Result<()> {
    let mut stage = Stage::start().await?;
    let client = stage.public_client().await?;
    let page = stage.open(&stage.request(&client, "team")).await?;
    let transaction = page.form("consent")?.value("transaction").unwrap_or_default().to_owned();
    let own = stage.browser.cookie_header(&page.url);
    let link = stage.hub.cli(&["login", "link", "ann"]).await?;
    let mut elsewhere = trunkline_tests::browser::Browser::new();
    let opened = elsewhere.open(link.trim()).await?;
    elsewhere.submit(&opened.form("/login/link/")?, "").await?;
    let other = elsewhere.cookie_header(&page.url);

    let consent = Endpoint::new(&format!("{}/oauth/consent", stage.hub.base()));
    let form = ("content-type", "application/x-www-form-urlencoded");
    let body = |transaction: &str| {
        let fields = [("transaction", transaction), ("decision", "allow")];
        Serializer::new(String::new()).extend_pairs(fields).finish()
    };
    let mut changed = transaction.clone();
    changed.replace_range(changed.len() - 2.., "AA");
    for (cookie, transaction, origin) in [
        (other.as_str(), transaction.as_str(), stage.hub.base()),
        ("", &transaction, stage.hub.base()),
        (&own, &changed, stage.hub.base()),
        (&own, "", stage.hub.base()),
        (&own, &transaction, "https://evil.example"),
        (&own, &transaction, "null"),
    ] {
        let headers = [form, ("cookie", cookie), ("origin", origin)];
        let answer = consent.post(body(transaction), &headers).await?;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (403, None), "{origin}");
    }
    let headers = [form, ("cookie", own.as_str()), ("origin", stage.hub.base())];
    consent.post(body(&transaction), &headers).await?.expect_status(303)?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_member_gets_no_code() -> Result<()> {
    let mut stage = Stage::start().await?;
    let client = stage.public_client().await?;
    let page = stage.open(&stage.request(&client, "closed")).await?;
    assert_eq!((page.status.as_u16(), page.left_for.is_none()), (403, true));
    assert!(page.body.contains("not a member"), "{}", page.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_sent_to_a_site_that_a_stranger_registered_without_being_asked() -> Result<()> {
    let mut stage = Stage::start().await?;
    let metadata = json!({
        "client_name": "<script>alert('Claude')</script>",
        "redirect_uris": ["https://app.example/callback"],
        "token_endpoint_auth_method": "none",
    });
    let registered = stage.register(&metadata).await?.expect_status(201)?.json()?;
    let client = registered["client_id"].as_str().unwrap_or_default();
    let mut request = stage.request(client, "team");
    request.retain(|(name, _)| name != "redirect_uri");
    let page = stage.open(&request).await?;
    assert!(page.body.contains("app.example") && !page.body.contains("<script>"), "{}", page.body);
    request.retain(|(_, value)| value != CHALLENGE);
    let page = stage.open(&request).await?;
    assert_eq!((page.status.as_u16(), page.left_for), (403, None), "no open redirector");
    assert!(page.body.contains("https://app.example/callback?error=invalid_request"), "{}", page.body);
    Ok(())
}
