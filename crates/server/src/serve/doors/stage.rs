//! A whole hub in this process, whose database and vault fail when told to.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use trunkline_model::{Secret, UserId};
use trunkline_oauth::login::make_link;
use trunkline_storage::{Faults, Store};
use trunkline_tests::browser::{Browser, Page, Prepared};
use trunkline_tests::http::{Endpoint, Response};
use trunkline_tests::scripted_issuer::{Lies, ScriptedIssuers};
use url::form_urlencoded::Serializer;

use super::super::{Running, ServeOptions};
use crate::config;

pub(super) const PASSWORD: &str = "correct horse battery staple";
pub(super) const CALLBACK: &str = "http://127.0.0.1:1/callback";
pub(super) const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

pub(super) struct Stage {
    pub(super) running: Running,
    pub(super) issuers: ScriptedIssuers,
    /// The owner's, signed in once there is one.
    pub(super) browser: Browser,
    /// As another process has it: what is done through it the hub learns later.
    pub(super) other: Arc<Store>,
    /// What is made once and used by several attempts.
    pub(super) kept: BTreeMap<&'static str, String>,
    count: u64,
    _folder: tempfile::TempDir,
}

impl Stage {
    /// A hub without users.
    pub(super) async fn bare() -> Result<Self> {
        // Another test of this process may have done it.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let issuers = ScriptedIssuers::start(BTreeMap::<_, Lies>::new()).await?;
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("trunkline.yaml");
        let (sign_in, issuer) = (issuers.configuration(["corp"]), issuers.issuer("corp"));
        let configuration = format!(
            "{sign_in}outbound: {{ allow: [loopback] }}\nauthorization:\n  client_documents: false\n  \
             assertion_issuers: [{{ issuer: {issuer:?}, jwks_uri: \"{issuer}/jwks\", login_claim: email }}]\n\
             profiles:\n  team: {{ servers: {{}} }}\n  other: {{ servers: {{}} }}\n  \
             keyed: {{ auth: api_key, servers: {{}} }}\n"
        );
        std::fs::write(&file, configuration)?;
        let config = config::load(&file).map_err(|errors| anyhow::anyhow!("{errors}"))?;
        let options = ServeOptions {
            config,
            config_path: None,
            data_dir: folder.path().join("data"),
            listen: Some(([127, 0, 0, 1], 0).into()),
            quiet: true,
            on_ready: None,
        };
        let running = Running::start(&options).await?;
        let other = Store::open_in(&options.data_dir, Arc::new(trunkline_model::SystemClock)).await?;
        let browser = Browser::new().stopping_at(CALLBACK);
        Ok(Self { running, issuers, browser, other, kept: BTreeMap::new(), count: 0, _folder: folder })
    }

    /// A hub whose owner is signed in.
    pub(super) async fn start() -> Result<Self> {
        let mut stage = Self::bare().await?;
        let asked = stage.setup().await?;
        let page = stage.browser.follow_up(asked).await?;
        ensure!(page.url.path() == "/account", "{}", page.body);
        Ok(stage)
    }

    pub(super) fn faults(&self) -> &Faults {
        self.running.core.store.faults()
    }

    pub(super) fn store(&self) -> &Store {
        &self.running.core.store
    }

    pub(super) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.running.public_url)
    }

    pub(super) fn resource(&self, profile: &str) -> String {
        self.at(&format!("/mcp/{profile}"))
    }

    /// A name that has not been used.
    pub(super) fn fresh(&mut self, what: &str) -> String {
        self.count += 1;
        format!("{what}-{}", self.count)
    }

    /// Sends a request once, as it stands.
    pub(super) async fn send(&self, asked: &Prepared) -> Result<Response> {
        let headers: Vec<(&str, &str)> =
            asked.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let endpoint = Endpoint::new(asked.url.as_str());
        endpoint.send(asked.method.clone(), asked.body.clone(), &headers).await?.whole().await
    }

    pub(super) fn form(&self, path: &str, fields: &[(&str, &str)]) -> Result<Prepared> {
        let body = Serializer::new(String::new()).extend_pairs(fields).finish();
        self.request(http::Method::POST, path, &[FORM], body)
    }

    pub(super) fn request(
        &self,
        method: http::Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Result<Prepared> {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Ok(Prepared { method, url: self.at(path).parse()?, headers, body })
    }

    /// The owner's browser asks the admin API.
    pub(super) fn api(&self, method: http::Method, path: &str, body: &Value) -> Result<Prepared> {
        let cookies = self.browser.cookie_header(&self.at(path).parse()?);
        let headers =
            [("content-type", "application/json"), ("sec-fetch-site", "same-origin"), ("cookie", &cookies)];
        self.request(method, path, &headers, body.to_string())
    }

    pub(super) fn session_cookie(&self) -> Result<String> {
        Ok(self.browser.cookie_header(&self.at("/").parse()?))
    }

    pub(super) async fn setup(&mut self) -> Result<Prepared> {
        let link = self.running.core.login.setup_link().await?.context("there is a user")?;
        let form = self.browser.open(link.expose()).await?.form("/setup/")?;
        let form = form.set("login", "owner")?.set("name", "Owner")?;
        self.browser.prepare(&form.set("password", PASSWORD)?.set("again", PASSWORD)?, "")
    }

    pub(super) async fn owner(&self) -> Result<UserId> {
        let owner = self.store().users().find_by_login("owner").await?;
        Ok(owner.context("no owner")?.id)
    }

    pub(super) async fn link_of(&self, user: UserId) -> Result<Secret> {
        let now = trunkline_model::Clock::now(&trunkline_model::SystemClock);
        Ok(make_link(self.store(), &self.running.public_url, user, now).await?)
    }

    /// A client that registers with `more`; its answer.
    pub(super) async fn registered(&self, more: Value) -> Result<Value> {
        let answer = self.send(&self.registration(more)?).await?;
        answer.expect_status(201)?.json()
    }

    pub(super) fn registration(&self, more: Value) -> Result<Prepared> {
        let mut metadata = json!({
            "client_name": "By hand",
            "redirect_uris": [CALLBACK],
            "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        });
        if let (Value::Object(metadata), Value::Object(more)) = (&mut metadata, more) {
            metadata.extend(more);
        }
        let json = [("content-type", "application/json")];
        self.request(http::Method::POST, "/oauth/register", &json, metadata.to_string())
    }

    /// The public client of this hub; made by the first who asks.
    pub(super) async fn client(&mut self) -> Result<String> {
        if let Some(client) = self.kept.get("client") {
            return Ok(client.clone());
        }
        let made = self.registered(json!({})).await?;
        let id = made["client_id"].as_str().context("no client_id")?.to_owned();
        self.kept.insert("client", id.clone());
        Ok(id)
    }

    pub(super) fn authorize_path(&self, client: &str) -> String {
        let query = Serializer::new(String::new())
            .append_pair("response_type", "code")
            .append_pair("client_id", client)
            .append_pair("redirect_uri", CALLBACK)
            .append_pair("state", "s")
            .append_pair("code_challenge", CHALLENGE)
            .append_pair("code_challenge_method", "S256")
            .append_pair("resource", &self.resource("team"))
            .finish();
        format!("/oauth/authorize?{query}")
    }

    /// A code for the client, by the owner.
    pub(super) async fn code(&mut self, client: &str) -> Result<String> {
        let url = self.at(&self.authorize_path(client));
        let mut page = self.browser.open(&url).await?;
        if page.left_for.is_none() {
            page = self.browser.submit(&page.form("consent")?, "allow").await?;
        }
        code_in(&page)
    }

    pub(super) fn redemption(&self, client: &str, code: &str, more: &[(&str, &str)]) -> Result<Prepared> {
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        fields.extend_from_slice(more);
        self.form("/oauth/token", &fields)
    }

    /// The token endpoint's answer to a new code of the client.
    pub(super) async fn tokens(&mut self, client: &str) -> Result<Value> {
        let code = self.code(client).await?;
        self.send(&self.redemption(client, &code, &[])?).await?.expect_status(200)?.json()
    }

    pub(super) async fn stop(self) {
        self.other.close().await;
        self.running.stop().await;
    }
}

pub(super) fn code_in(page: &Page) -> Result<String> {
    let left_for: url::Url = page.left_for.as_deref().with_context(|| page.body.clone())?.parse()?;
    let code = left_for.query_pairs().find(|(name, _)| name == "code").map(|(_, code)| code.into_owned());
    code.with_context(|| left_for.to_string())
}

pub(super) fn text(value: &Value, name: &str) -> Result<String> {
    Ok(value[name].as_str().with_context(|| format!("no {name} in {value}"))?.to_owned())
}
