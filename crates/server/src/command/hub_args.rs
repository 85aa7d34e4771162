//! Which hub a command is about: its configuration file and its data directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use trunkline_model::{ProfileName, ServerName, SystemClock};
use trunkline_storage::{Store, recover};

use crate::DataDir;
use crate::api::Api;
use crate::config::{self, Config, ConfigErrors, suggestion};
use crate::control::Control;

/// The file that counts when none is named.
const USUAL_FILE: &str = "trunkline.yaml";

#[derive(Debug, clap::Args)]
pub(super) struct HubArgs {
    /// The configuration file; without it `trunkline.yaml`, when there is one.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The directory with the database, the secret key and the control socket.
    #[arg(long, value_name = "DIR", default_value = "trunkline-data")]
    data: PathBuf,
}

impl HubArgs {
    /// The file that counts; none when none was named and the usual one is not there.
    pub(super) fn config_path(&self) -> Option<PathBuf> {
        self.config.clone().or_else(|| {
            let usual = Path::new(USUAL_FILE);
            usual.exists().then(|| usual.to_owned())
        })
    }

    pub(super) fn data(&self) -> DataDir {
        DataDir::new(&self.data)
    }

    /// The configuration; an empty one when there is no file.
    ///
    /// # Errors
    /// Every fault of the file.
    pub(super) fn load(&self) -> anyhow::Result<Config> {
        self.config_path().map_or_else(|| Ok(Config::default()), |path| config::load(&path).map_err(in_words))
    }

    /// Lets `work` use the admin API of the hub: the running one's, or without
    /// one that of a hub in this process, on an existing database.
    ///
    /// # Errors
    /// What `work` says; there is no hub and no database; or it cannot be opened.
    pub(super) async fn with_api<T>(
        &self,
        work: impl AsyncFnOnce(&Api) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        self.on_api(work, |config| self.require_database(config)).await
    }

    /// As [`Self::with_api`], for what begins with an empty database.
    ///
    /// # Errors
    /// What `work` says, or the database cannot be made or opened.
    pub(super) async fn with_new_api<T>(
        &self,
        work: impl AsyncFnOnce(&Api) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        self.on_api(work, |_| Ok(())).await
    }

    async fn on_api<T>(
        &self,
        work: impl AsyncFnOnce(&Api) -> anyhow::Result<T>,
        check: impl FnOnce(&Config) -> anyhow::Result<()>,
    ) -> anyhow::Result<T> {
        let api = match Api::running(self.data()).await? {
            Some(api) => api,
            None => {
                let config = self.load()?;
                check(&config)?;
                Box::pin(Api::alone(&self.data(), &config)).await?
            }
        };
        let done = work(&api).await;
        api.close().await;
        done
    }

    fn require_database(&self, config: &Config) -> anyhow::Result<()> {
        let database = self.data().database();
        if config.database_url.is_none() && !database.exists() {
            bail!(
                "there is no database at {}; name the hub's data directory with --data",
                database.display()
            );
        }
        Ok(())
    }

    /// The database of the hub, for commands that read it alone.
    ///
    /// # Errors
    /// It does not exist, cannot be opened, or its key is missing.
    pub(super) async fn existing_store(&self, config: &Config) -> anyhow::Result<Arc<Store>> {
        self.require_database(config)?;
        let data = self.data();
        data.create().with_context(|| format!("cannot make the data directory {}", data.path().display()))?;
        Ok(Store::open(data.store_options(config), Arc::new(SystemClock)).await?)
    }

    /// The database with every event of the audit trail in it, also those
    /// that a running hub has not moved there yet or a killed one left behind.
    ///
    /// # Errors
    /// As [`Self::existing_store`], or the events cannot be brought in.
    pub(super) async fn whole_trail(&self, config: &Config) -> anyhow::Result<Arc<Store>> {
        let (data, store) = (self.data(), self.existing_store(config).await?);
        match Control::connect(&data).await? {
            Some(control) => control.flush_audit().await?,
            None => {
                recover(&store, &data.audit_journal()).await?;
            }
        }
        Ok(store)
    }
}

/// All the faults of a file as one error.
pub(super) fn in_words(errors: ConfigErrors) -> anyhow::Error {
    match errors.problems().len() {
        1 => anyhow!(errors),
        count => anyhow!("the configuration has {count} faults:\n{errors}"),
    }
}

/// Refuses a profile that is not one of `known`.
pub(super) fn require_profile(known: &[String], name: &ProfileName) -> anyhow::Result<()> {
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    require("profile", name.as_str(), &known)
}

/// Refuses a server that the configuration does not have.
pub(super) fn require_server(config: &Config, name: &ServerName) -> anyhow::Result<()> {
    let known: Vec<&str> = config.servers.keys().map(ServerName::as_str).collect();
    require("server", name.as_str(), &known)
}

fn require(noun: &str, name: &str, known: &[&str]) -> anyhow::Result<()> {
    if known.contains(&name) {
        return Ok(());
    }
    match suggestion(name, known) {
        Some(help) => bail!("there is no {noun} `{name}`; {help}"),
        None => bail!("there is no {noun} `{name}`, nor any other; are --config and --data right?"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_refused_with_the_nearest() {
        let refused = require("profile", "enginering", &["engineering", "sales"]).unwrap_err();
        assert!(refused.to_string().ends_with("did you mean `engineering`?"), "{refused}");
        assert!(require("profile", "x", &[]).unwrap_err().to_string().contains("--config"));
        assert!(require("profile", "sales", &["engineering", "sales"]).is_ok());
    }
}
