//! A hub whose people sign in at their company's identity provider, npm
//! `oidc-provider`, and what the operator does to a client afterwards.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use trunkline_tests::browser::Browser;
use trunkline_tests::client_program::Client;
use trunkline_tests::dialogue::Dialogue;
use trunkline_tests::hub::{self, TestHub};
use trunkline_tests::identity_provider::{CLIENT_ID, CLIENT_SECRET, IdentityProvider};
use trunkline_tests::mcp_client::ModernClient;
use trunkline_tests::packages::Packages;

use super::clients::authorize_url_in;
use super::stage::Stage;

const ACCOUNT: &str = "ann";

/// Ann's browser, in which she has not signed in, the hub, and the provider.
pub(super) struct Company {
    pub(super) stage: Stage,
    pub(super) provider: IdentityProvider,
}

impl Company {
    /// `more` stands before the configuration of sign-in, and the hub starts
    /// with these variables besides.
    pub(super) async fn start(packages: &Packages, more: &str, environment: &[(&str, &str)]) -> Result<Self> {
        let port = IdentityProvider::free_port().await?;
        let sample = hub::binary()?;
        let configuration = format!(
            "{more}sign_in:\n  password: false\n  issuers:\n    corp:\n      issuer: http://127.0.0.1:{port}\n      \
             label: Example Corp\n      client_id: {CLIENT_ID}\n      client_secret: \"{CLIENT_SECRET}\"\n      \
             allow: {{ domains: [example.org] }}\nservers:\n  \
             sample: {{ command: {sample:?}, args: [sample-server] }}\nprofiles:\n  \
             team: {{ members: {{ groups: [eng] }}, servers: {{ sample: {{ prefix: \"\" }} }} }}\n"
        );
        let hub = TestHub::start_with(&configuration, environment).await?;
        let people = json!({
            ACCOUNT: { "email": "ann@example.org", "email_verified": true, "name": "Ann", "groups": ["eng"] },
        });
        let provider = IdentityProvider::start(packages, port, hub.base(), &people, true).await?;
        Ok(Self { stage: Stage { hub, browser: Browser::new() }, provider })
    }

    /// Ann opens what the program shows, signs in at her company, and allows
    /// it; gives the URL that her browser is sent to, if the program does not
    /// listen there.
    pub(super) async fn allow(&mut self, program: &mut Dialogue) -> Result<String> {
        let base = self.stage.hub.base().to_owned();
        let url = program.find(|line| authorize_url_in(line, &base)).await;
        let url = url.with_context(|| self.stage.hub.output())?;
        self.allow_at(&url).await
    }

    pub(super) async fn allow_at(&mut self, url: &str) -> Result<String> {
        let browser = &mut self.stage.browser;
        let page = browser.open(url).await?;
        ensure!(page.url.path() == "/login", "nobody has signed in: {}", page.body);
        let page = browser.open(page.link("/login/issuer/corp")?.as_str()).await?;
        ensure!(page.url.as_str().starts_with(self.provider.issuer()), "{}", page.url);
        let page = self.provider.sign_in(browser, page, ACCOUNT).await?;
        let consent = page.form("consent").with_context(|| self.stage.hub.output())?;
        let answered = browser.submit(&consent, "allow").await?;
        Ok(answered.left_for.unwrap_or_else(|| answered.url.to_string()))
    }

    /// The browser leaves addresses that begin so to the test.
    pub(super) fn stop_at(&mut self, start: &str) {
        self.stage.browser = std::mem::take(&mut self.stage.browser).stopping_at(start);
    }

    /// The operator revokes what the client was granted: the token that it
    /// keeps was good until then, and is refused within a second.
    pub(super) async fn end(&self, client: &Client) -> Result<()> {
        let token = kept_token(client.home())?.context("the client keeps no token")?;
        let endpoint = self.stage.hub.endpoint("team").with_key(&token);
        let call = r#"{"name":"echo","arguments":{"text":"hello"}}"#;
        let answer = ModernClient::new(endpoint).request("tools/call", call).await?.result_value()?;
        ensure!(answer["content"][0]["text"] == "hello", "{answer}");
        self.revoke().await?;
        self.stage.until_refused(&token).await
    }

    pub(super) async fn revoke(&self) -> Result<()> {
        let grants = self.stage.live_grants().await?;
        ensure!(grants.len() == 1, "{grants:?}");
        self.stage.hub.cli(&["client", "revoke", &grants[0]]).await?;
        Ok(())
    }
}

/// The access token in the newest file of a client that has one.
fn kept_token(folder: &Path) -> Result<Option<String>> {
    let mut newest: Option<(std::time::SystemTime, String)> = None;
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder)? {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file()
                && let Some(token) = token_in(&String::from_utf8_lossy(&std::fs::read(entry.path())?))
            {
                let written = entry.metadata()?.modified()?;
                if newest.as_ref().is_none_or(|(time, _)| *time <= written) {
                    newest = Some((written, token));
                }
            }
        }
    }
    Ok(newest.map(|(_, token)| token))
}

/// The first access token of ours in a text.
fn token_in(text: &str) -> Option<String> {
    let is_part =
        |character: &char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    text.match_indices("eyJ").find_map(|(start, _)| {
        let token: String = text[start..].chars().take_while(is_part).collect();
        (token.matches('.').count() == 2).then_some(token)
    })
}
