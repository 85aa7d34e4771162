//! Identity providers that lie: nobody is signed in, and the page says
//! something true without what is secret.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::join_all;
use serde_json::{Value, json};
use trunkline_tests::browser::{Browser, Page};
use trunkline_tests::http::Endpoint;
use trunkline_tests::hub::TestHub;
use trunkline_tests::scripted_issuer::{
    ACCESS_TOKEN, Answer, CLIENT_SECRET, Content, Lies, ScriptedIssuers, Signature,
};
use url::Url;

/// What the page says: the provider's answer is no proof.
const NO_PROOF: &str = "proves nothing to this hub";
/// It does not answer, or not as it should.
const AWAY: &str = "cannot be reached";

/// A name, how that issuer lies, and what the page says then.
type Case = (&'static str, Lies, &'static str);

fn claims(change: fn(&mut Value)) -> Lies {
    Lies { claims: Some(change), ..Lies::default() }
}

fn header(change: fn(&mut Value), signature: Signature) -> Lies {
    Lies { header: Some(change), signature, ..Lies::default() }
}

fn seconds(claims: &Value, name: &str) -> i64 {
    claims[name].as_i64().expect("a time")
}

fn about_the_id_token() -> Vec<Case> {
    vec![
        ("wrong-iss", claims(|claims| claims["iss"] = json!("https://evil.example")), NO_PROOF),
        (
            "iss-with-slash",
            claims(|claims| claims["iss"] = json!(format!("{}/", claims["iss"].as_str().unwrap()))),
            NO_PROOF,
        ),
        ("wrong-aud", claims(|claims| claims["aud"] = json!("another")), NO_PROOF),
        ("aud-of-two", claims(|claims| claims["aud"] = json!(["trunkline", "another"])), NO_PROOF),
        ("no-aud", claims(|claims| drop(claims.as_object_mut().unwrap().remove("aud"))), NO_PROOF),
        ("wrong-azp", claims(|claims| claims["azp"] = json!("another")), NO_PROOF),
        ("wrong-nonce", claims(|claims| claims["nonce"] = json!("another")), NO_PROOF),
        ("no-nonce", claims(|claims| drop(claims.as_object_mut().unwrap().remove("nonce"))), NO_PROOF),
        ("nobody", claims(|claims| claims["sub"] = json!("")), NO_PROOF),
        ("sub-of-a-number", claims(|claims| claims["sub"] = json!(1)), NO_PROOF),
        ("expired", claims(|claims| claims["exp"] = json!(seconds(claims, "iat") - 120)), NO_PROOF),
        ("no-end", claims(|claims| drop(claims.as_object_mut().unwrap().remove("exp"))), NO_PROOF),
        ("not-yet", claims(|claims| claims["nbf"] = json!(seconds(claims, "iat") + 600)), NO_PROOF),
        ("made-later", claims(|claims| claims["iat"] = json!(seconds(claims, "iat") + 600)), NO_PROOF),
        ("made-long-ago", claims(|claims| claims["iat"] = json!(seconds(claims, "iat") - 3600)), NO_PROOF),
        (
            "claims-twice",
            Lies {
                text: Some(|claims| claims.replacen('{', "{\"sub\":\"u-victim\",", 1)),
                ..Lies::default()
            },
            NO_PROOF,
        ),
        (
            "address-twice",
            Lies {
                text: Some(|claims| {
                    claims.replacen('{', "{\"email\":\"u-victim\",\"email\":\"a@b.example\",", 1)
                }),
                ..Lies::default()
            },
            NO_PROOF,
        ),
        (
            "claims-twice-by-escape",
            Lies {
                text: Some(|claims| claims.replacen('{', "{\"s\\u0075b\":\"u-victim\",", 1)),
                ..Lies::default()
            },
            NO_PROOF,
        ),
        (
            "claims-of-a-list",
            Lies { text: Some(|claims| format!("[{claims}]")), ..Lies::default() },
            NO_PROOF,
        ),
    ]
}

fn about_its_signature() -> Vec<Case> {
    let with_alg = |alg: fn(&mut Value), signature| header(alg, signature);
    vec![
        ("none", with_alg(|header| header["alg"] = json!("none"), Signature::None), NO_PROOF),
        ("none-signed", with_alg(|header| header["alg"] = json!("none"), Signature::Own), NO_PROOF),
        ("unsigned", with_alg(|_| {}, Signature::None), NO_PROOF),
        ("stranger", with_alg(|_| {}, Signature::Stranger), NO_PROOF),
        (
            "stranger-without-kid",
            with_alg(|header| drop(header.as_object_mut().unwrap().remove("kid")), Signature::Stranger),
            NO_PROOF,
        ),
        (
            "hs256",
            with_alg(|header| header["alg"] = json!("HS256"), Signature::PublishedKeyAsSecret),
            NO_PROOF,
        ),
        ("es384", with_alg(|header| header["alg"] = json!("ES384"), Signature::Own), NO_PROOF),
        ("other-kid", with_alg(|header| header["kid"] = json!("k2"), Signature::Own), NO_PROOF),
        (
            "kid-of-a-path",
            with_alg(|header| header["kid"] = json!("../../etc/passwd"), Signature::Own),
            NO_PROOF,
        ),
        ("crit", with_alg(|header| header["crit"] = json!(["b64"]), Signature::Own), NO_PROOF),
        ("logout-token", with_alg(|header| header["typ"] = json!("logout+jwt"), Signature::Own), NO_PROOF),
    ]
}

fn html() -> Answer {
    Answer::new(200, "text/html", "<html><script>alert(1)</script>Log in here</html>")
}

fn about_endpoints() -> Vec<Case> {
    let token = |answer| Lies { token: Some(answer), ..Lies::default() };
    let keys = |answer| Lies { keys: Some(answer), ..Lies::default() };
    let userinfo = |answer| Lies { userinfo: Some(answer), ..Lies::default() };
    let refusal = r#"{"error":"invalid_grant","error_description":"<script>alert(1)</script>"}"#;
    let of_another = r#"{"sub":"u-victim","email":"victim@example.org","email_verified":true}"#;
    let json = "application/json";
    vec![
        ("token-refused", token(Answer::new(400, json, refusal)), NO_PROOF),
        ("token-html", token(html()), NO_PROOF),
        ("token-500", token(Answer::new(500, "text/html", "<h1>oops</h1>")), NO_PROOF),
        ("token-moved", token(Answer::away("/honest/token")), NO_PROOF),
        ("token-huge", token(Answer::of(Content::Huge)), AWAY),
        ("token-drip", token(Answer::of(Content::Drip)), AWAY),
        ("token-silent", token(Answer::of(Content::Silence)), AWAY),
        ("token-without-id-token", token(Answer::new(200, json, r#"{"access_token":"x"}"#)), NO_PROOF),
        ("keys-html", keys(html()), NO_PROOF),
        ("keys-500", keys(Answer::new(500, json, "{}")), AWAY),
        ("keys-moved", keys(Answer::away("/honest/jwks")), AWAY),
        ("keys-huge", keys(Answer::of(Content::Huge)), AWAY),
        ("keys-drip", keys(Answer::of(Content::Drip)), AWAY),
        ("keys-empty", keys(Answer::new(200, json, r#"{"keys":[]}"#)), NO_PROOF),
        ("userinfo-of-another", userinfo(Answer::new(200, json, of_another)), NO_PROOF),
        (
            "userinfo-of-nobody",
            userinfo(Answer::new(200, json, r#"{"email":"victim@example.org"}"#)),
            NO_PROOF,
        ),
        ("userinfo-html", userinfo(html()), NO_PROOF),
        ("userinfo-huge", userinfo(Answer::of(Content::Huge)), AWAY),
        ("userinfo-moved", userinfo(Answer::away("/honest/userinfo")), AWAY),
    ]
}

fn about_metadata() -> Vec<Case> {
    let metadata = |answer| Lies { metadata: Some(answer), ..Lies::default() };
    let says = |change| Lies { says: Some(change), ..Lies::default() };
    vec![
        ("metadata-html", metadata(html()), AWAY),
        ("metadata-500", metadata(Answer::new(500, "application/json", "{}")), AWAY),
        ("metadata-moved", metadata(Answer::away("/honest/.well-known/openid-configuration")), AWAY),
        ("metadata-huge", metadata(Answer::of(Content::Huge)), AWAY),
        ("metadata-drip", metadata(Answer::of(Content::Drip)), AWAY),
        ("metadata-of-another", says(|said| said["issuer"] = json!("https://evil.example")), AWAY),
        (
            "pages-of-a-script",
            says(|said| said["authorization_endpoint"] = json!("javascript:alert(1)")),
            AWAY,
        ),
        ("tokens-of-a-file", says(|said| said["token_endpoint"] = json!("file:///etc/passwd")), NO_PROOF),
        ("tokens-inside", says(|said| said["token_endpoint"] = json!("http://169.254.169.254/token")), AWAY),
        ("keys-inside", says(|said| said["jwks_uri"] = json!("http://10.0.0.1/jwks")), AWAY),
    ]
}

fn set(url: &mut Url, changed: &str, to: &str) {
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    let kept = pairs.iter().filter(|(name, _)| name != changed);
    url.query_pairs_mut().clear().extend_pairs(kept).append_pair(changed, to);
}

fn without(url: &mut Url, removed: &str) {
    let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    url.query_pairs_mut().clear().extend_pairs(pairs.iter().filter(|(name, _)| name != removed));
}

fn about_the_way_back() -> Vec<Case> {
    let back = |change| Lies { back: Some(change), ..Lies::default() };
    let denied = "cancelled or not allowed";
    vec![
        ("mix-up", back(|url| set(url, "iss", "https://evil.example")), NO_PROOF),
        ("no-iss", back(|url| without(url, "iss")), NO_PROOF),
        ("no-code", back(|url| without(url, "code")), NO_PROOF),
        ("other-state", back(|url| set(url, "state", "AAAAAAAAAAAA")), "not under way"),
        ("no-state", back(|url| without(url, "state")), "not under way"),
        ("denied", back(|url| set(url, "error", "access_denied")), denied),
        (
            "error-of-html",
            back(|url| {
                set(url, "error", "<script>alert(1)</script>");
                set(url, "error_description", "<img src=x onerror=alert(1)>");
            }),
            NO_PROOF,
        ),
    ]
}

/// What nobody may read, on a page or in the log.
const SECRETS: [&str; 3] = [CLIENT_SECRET, ACCESS_TOKEN, "eyJ"];

/// What would run on a page, or be taken for somebody's word.
const OF_OTHERS: [&str; 3] = ["<script", "onerror=", "u-victim"];

fn has_none_of<'a>(text: &str, words: impl IntoIterator<Item = &'a str>) -> Result<()> {
    for word in words {
        ensure!(!text.contains(word), "{word} in {text}");
    }
    Ok(())
}

async fn refused(hub: &TestHub, name: &str, says: &str) -> Result<()> {
    let mut browser = Browser::new();
    let page = sign_in(hub, &mut browser, name).await?;
    ensure!(page.status.is_client_error() || page.status.is_server_error(), "{name}: {}", page.status);
    ensure!(page.body.contains(says), "{name}: {}", page.body);
    has_none_of(&page.body, SECRETS.into_iter().chain(OF_OTHERS)).context(name.to_owned())?;
    let cookies = page.headers.get_all("set-cookie").iter();
    let signs_in = cookies
        .filter_map(|cookie| cookie.to_str().ok())
        .any(|cookie| cookie.starts_with("trunkline_session="));
    ensure!(!signs_in, "{name} gives a session");
    let account = browser.open(&format!("{}/account", hub.base())).await?;
    ensure!(account.url.path() == "/login", "{name} signed somebody in");
    Ok(())
}

async fn sign_in(hub: &TestHub, browser: &mut Browser, name: &str) -> Result<Page> {
    browser.open(&format!("{}/login/issuer/{name}?next=/account", hub.base())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn no_lie_of_an_identity_provider_signs_anybody_in() -> Result<()> {
    let all = [
        about_the_id_token(),
        about_its_signature(),
        about_endpoints(),
        about_metadata(),
        about_the_way_back(),
    ];
    let (mut lies, mut said) = (BTreeMap::new(), Vec::new());
    for (name, of_it, says) in all.into_iter().flatten() {
        said.push((name, says));
        lies.insert(name, of_it);
    }
    let issuers = ScriptedIssuers::start(lies).await?;
    let names = said.iter().map(|(name, _)| *name).chain(["honest"]);
    let hub = TestHub::start(&issuers.configuration(names)).await?;
    let tried = join_all(said.iter().map(|(name, says)| refused(&hub, name, says))).await;
    let faults: Vec<String> =
        tried.into_iter().filter_map(|tried| Some(format!("{:#}", tried.err()?))).collect();
    ensure!(faults.is_empty(), "{}", faults.join("\n"));
    has_none_of(&hub.output(), SECRETS)?;
    let listed = hub.cli(&["user", "list", "--json"]).await?;
    ensure!(!listed.contains("usr_"), "nobody has an account: {listed}");
    let page = sign_in(&hub, &mut Browser::new(), "honest").await?;
    assert_eq!(page.url.path(), "/account", "an honest one does: {}", page.body);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_counts_at_its_own_issuer_and_once() -> Result<()> {
    let issuers = ScriptedIssuers::start(BTreeMap::new()).await?;
    let hub = TestHub::start(&issuers.configuration(["one", "two"])).await?;
    let mut browser = Browser::new().stopping_at(&format!("{}/login/callback/", hub.base()));
    let stopped = sign_in(&hub, &mut browser, "one").await?.left_for.context("not sent back")?;
    let cookies = browser.cookie_header(&stopped.parse()?);
    let elsewhere = stopped.replace("/callback/one?", "/callback/two?");
    let confused = Endpoint::new(&elsewhere).get(&[("cookie", &cookies)]).await?;
    assert_eq!(
        (confused.status.as_u16(), confused.header("set-cookie")),
        (400, None),
        "another issuer's answer"
    );
    let nobodys = Endpoint::new(&stopped).get(&[]).await?;
    assert_eq!((nobodys.status.as_u16(), nobodys.header("set-cookie")), (400, None), "another browser");
    assert_eq!(Endpoint::new(&stopped).get(&[("cookie", &cookies)]).await?.status, 303);
    let mut after = Browser::new();
    let again = after.open(&stopped).await?;
    assert_eq!((again.status.as_u16(), again.headers.get("set-cookie")), (400, None), "replayed");
    Ok(())
}
