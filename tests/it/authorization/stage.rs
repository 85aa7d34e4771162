//! A hub with people and profiles, and a client that does by hand what client
//! programs do.

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use trunkline_tests::browser::{Browser, Page};
use trunkline_tests::http::{Endpoint, Response};
use trunkline_tests::hub::{self, TestHub};
use url::Url;
use url::form_urlencoded::Serializer;

pub(super) const CALLBACK: &str = "http://127.0.0.1:1/callback";
pub(super) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
/// RFC 7636 appendix B.
pub(super) const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const PASSWORD: &str = "correct horse battery";

/// A hub whose profiles `team` and `other` want a sign-in; `closed` is for bob alone.
pub(super) struct Stage {
    pub(super) hub: TestHub,
    /// Ann, the first owner, is signed in here.
    pub(super) browser: Browser,
}

/// What a client gets at the token endpoint.
pub(super) struct Tokens {
    pub(super) access: String,
    pub(super) refresh: String,
}

impl Stage {
    pub(super) async fn start() -> Result<Self> {
        Self::with("authorization: { client_documents: false }\n").await
    }

    pub(super) async fn with(more: &str) -> Result<Self> {
        let sample = hub::binary()?;
        let hub = TestHub::start(&format!(
            "{more}servers:\n  sample: {{ command: {sample:?}, args: [sample-server] }}\nprofiles:\n  \
             team: {{ servers: {{ sample: {{ prefix: \"\" }} }} }}\n  other: {{ servers: {{ sample: {{}} }} }}\n  \
             closed: {{ members: {{ users: [bob] }}, servers: {{ sample: {{}} }} }}\n"
        ))
        .await?;
        let browser = signed_in(&hub).await?;
        Ok(Self { hub, browser })
    }

    pub(super) fn at(&self, path: &str) -> Endpoint {
        Endpoint::new(&format!("{}{path}", self.hub.base()))
    }

    pub(super) async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Result<Response> {
        let body = Serializer::new(String::new()).extend_pairs(fields).finish();
        self.at(path).post(body, &[("content-type", "application/x-www-form-urlencoded")]).await
    }

    /// The same by a client that proves who it is.
    pub(super) async fn form_as(
        &self,
        path: &str,
        client: (&str, &str),
        fields: &[(&str, &str)],
    ) -> Result<Response> {
        let mut all = vec![("client_id", client.0), ("client_secret", client.1)];
        all.extend_from_slice(fields);
        self.form(path, &all).await
    }

    pub(super) async fn register(&self, metadata: &Value) -> Result<Response> {
        self.at("/oauth/register").post(metadata.to_string(), &[("content-type", "application/json")]).await
    }

    /// A public client with a redirect on this machine.
    pub(super) async fn public_client(&self) -> Result<String> {
        let metadata = json!({
            "client_name": "By hand",
            "redirect_uris": [CALLBACK],
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        });
        let registered = self.register(&metadata).await?.expect_status(201)?.json()?;
        Ok(registered["client_id"].as_str().context("no client_id")?.to_owned())
    }

    pub(super) fn resource(&self, profile: &str) -> String {
        self.hub.url(profile)
    }

    /// The parameters of an authorization request that is as it should be.
    pub(super) fn request(&self, client: &str, profile: &str) -> Vec<(String, String)> {
        [
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", CALLBACK),
            ("state", "the state"),
            ("code_challenge", CHALLENGE),
            ("code_challenge_method", "S256"),
            ("resource", &self.resource(profile)),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    pub(super) fn authorize_url(&self, parameters: &[(String, String)]) -> String {
        let query = Serializer::new(String::new()).extend_pairs(parameters).finish();
        format!("{}/oauth/authorize?{query}", self.hub.base())
    }

    /// Opens the request in Ann's browser.
    pub(super) async fn open(&mut self, parameters: &[(String, String)]) -> Result<Page> {
        let url = self.authorize_url(parameters);
        self.browser.open(&url).await
    }

    /// Where Ann's browser is sent when she allows the request.
    pub(super) async fn allowed(&mut self, parameters: &[(String, String)]) -> Result<Url> {
        let page = self.open(parameters).await?;
        if let Some(left_for) = page.left_for {
            return Ok(left_for.parse()?);
        }
        let answered = self.browser.submit(&page.form("consent")?, "allow").await?;
        let left_for = answered.left_for.with_context(|| answered.body)?;
        Ok(left_for.parse()?)
    }

    /// A code for the client, by Ann.
    pub(super) async fn code(&mut self, client: &str, profile: &str) -> Result<String> {
        let sent_to = self.allowed(&self.request(client, profile)).await?;
        parameter(&sent_to, "code").with_context(|| sent_to.to_string())
    }

    pub(super) async fn redeem(&self, client: &str, code: &str) -> Result<Response> {
        let fields = [
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        self.form("/oauth/token", &fields).await
    }

    /// The whole way, for the profile `team`.
    pub(super) async fn tokens(&mut self, client: &str) -> Result<Tokens> {
        let code = self.code(client, "team").await?;
        tokens_in(&self.redeem(client, &code).await?.expect_status(200)?)
    }

    pub(super) async fn refresh(&self, client: &str, token: &str) -> Result<Response> {
        let fields = [("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)];
        self.form("/oauth/token", &fields).await
    }

    /// The status of a call of the profile with this token.
    pub(super) async fn call(&self, profile: &str, token: &str) -> Result<u16> {
        let endpoint = self.hub.endpoint(profile).with_key(token);
        let body = r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#;
        Ok(endpoint.post(body.to_owned(), &[]).await?.status.as_u16())
    }

    /// Waits until calls with the token are refused, at most a second.
    pub(super) async fn until_refused(&self, token: &str) -> Result<()> {
        let refused = async {
            while self.call("team", token).await? != 401 {
                tokio::task::yield_now().await;
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(std::time::Duration::from_secs(1), refused).await.context("still let in")?
    }

    /// The ids of grants that are live.
    pub(super) async fn live_grants(&self) -> Result<Vec<String>> {
        let listed: Value = serde_json::from_str(&self.hub.cli(&["client", "grants", "--json"]).await?)?;
        let grants = listed["grants"].as_array().context("no grants")?;
        let live = grants.iter().filter(|grant| grant["live"] == true);
        Ok(live.filter_map(|grant| grant["id"].as_str()).map(str::to_owned).collect())
    }
}

/// A browser in which the first owner of a fresh hub is signed in. It leaves
/// the addresses of clients to the test.
pub(super) async fn signed_in(hub: &TestHub) -> Result<Browser> {
    let line = hub.until_output(|line| line.contains("/setup/tll_")).await?;
    let start = line.find(hub.base()).context("the link is absolute")?;
    let link = line[start..].split_whitespace().next().unwrap_or_default().to_owned();
    let mut browser = Browser::new().stopping_at("http://127.0.0.1:1/").stopping_at("https://");
    let form = browser.open(&link).await?.form("/setup/")?.set("login", "ann")?.set("name", "Ann")?;
    let page = browser.submit(&form.set("password", PASSWORD)?.set("again", PASSWORD)?, "").await?;
    ensure!(page.url.path() == "/account", "{}", page.body);
    Ok(browser)
}

pub(super) fn parameter(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

pub(super) fn tokens_in(response: &Response) -> Result<Tokens> {
    let body = response.json()?;
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    Ok(Tokens { access: text("access_token"), refresh: text("refresh_token") })
}

/// The claims of a token, unverified.
pub(super) fn claims(token: &str) -> Result<Value> {
    let payload = token.split('.').nth(1).context("no JWT")?;
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload)?)?)
}

/// The OAuth error of an answer.
pub(super) fn error(response: &Response) -> Result<String> {
    Ok(response.json()?["error"].as_str().unwrap_or_default().to_owned())
}
