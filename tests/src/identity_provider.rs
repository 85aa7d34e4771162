//! An identity provider as companies have one: npm `oidc-provider`, in a
//! process of its own.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use tokio::process::Command;

use crate::browser::{Browser, Page};
use crate::http::{Endpoint, free_port};
use crate::packages::Packages;
use crate::process::Process;

const START: Duration = Duration::from_secs(30);
pub const CLIENT_ID: &str = "trunkline";
pub const CLIENT_SECRET: &str = "a secret of the test, long enough";

#[derive(Debug)]
pub struct IdentityProvider {
    process: Process,
    issuer: String,
    _folder: tempfile::TempDir,
}

impl IdentityProvider {
    /// Starts one for the hub at `hub`. `people` has the claims of each
    /// account; they are in the ID token, or else at userinfo alone.
    pub async fn start(
        packages: &Packages,
        port: u16,
        hub: &str,
        people: &Value,
        in_id_token: bool,
    ) -> Result<Self> {
        Self::start_with(packages, port, hub, people, in_id_token, &[]).await
    }

    /// As [`start`](Self::start), with more in its environment.
    pub async fn start_with(
        packages: &Packages,
        port: u16,
        hub: &str,
        people: &Value,
        in_id_token: bool,
        more: &[(&str, &str)],
    ) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("it/scripts/identity_provider.mjs");
        // A module finds its packages from where it stands.
        let folder = tempfile::tempdir()?;
        let copy = folder.path().join("identity_provider.mjs");
        std::fs::copy(script, &copy)?;
        std::os::unix::fs::symlink(packages.node_modules(), folder.path().join("node_modules"))?;
        let mut command = Command::new(packages.node());
        command.arg(copy).args([&port.to_string(), CLIENT_ID, hub]);
        command.env("CLAIMS", people.to_string());
        command.env("CLAIMS_IN_ID_TOKEN", if in_id_token { "1" } else { "0" });
        command.envs(more.iter().copied());
        let mut process = Process::start(command)?;
        process.line(START, |line| line.contains("issuer http")).await?;
        Ok(Self { process, issuer: format!("http://127.0.0.1:{port}"), _folder: folder })
    }

    /// A port on which one can start.
    pub async fn free_port() -> Result<u16> {
        free_port().await
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Signs with another key from here on.
    pub async fn replace_keys(&self) -> Result<()> {
        let endpoint = Endpoint::new(&format!("{}/keys", self.issuer));
        endpoint.post(String::new(), &[]).await?.expect_status(200)?;
        Ok(())
    }

    /// From here on it knows nobody of this name, or again.
    pub async fn knows(&self, account: &str, knows: bool) -> Result<()> {
        let path = if knows { "found" } else { "lost" };
        let endpoint = Endpoint::new(&format!("{}/{path}/{account}", self.issuer));
        endpoint.post(String::new(), &[]).await?.expect_status(200)?;
        Ok(())
    }

    pub async fn kill(self) -> Result<()> {
        self.process.kill().await
    }

    /// What it has written so far.
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// Goes through its pages, from the one with the sign-in form, as `account`.
    pub async fn sign_in(&self, browser: &mut Browser, page: Page, account: &str) -> Result<Page> {
        let form = page.form("/interaction/")?.set("login", account)?.set("password", "any")?;
        let page = browser.submit(&form, "").await?;
        // The first time it asks for consent.
        match page.form("/interaction/") {
            Ok(consent) if page.url.as_str().starts_with(&self.issuer) => browser.submit(&consent, "").await,
            _ => Ok(page),
        }
    }
}
