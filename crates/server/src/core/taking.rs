//! What a configuration changes in a hub that runs.

use std::sync::Arc;

use tokio::sync::watch;
use trunkline_mcp_hub::{Hub, HubConfig};
use trunkline_model::{Endpoint, ExchangeAt, ProfileAuth};
use trunkline_oauth::absent::Configured;
use trunkline_oauth::client::Connections;
use trunkline_oauth::login::Login;
use trunkline_oauth::server::AuthorizationServer;
use trunkline_web::{Outbound, OutboundPolicy};
use url::Url;

use crate::absent;
use crate::config::Config;

/// Whatever a configuration changes, at the start and on reload.
pub(crate) struct Taking {
    pub(crate) hub: Arc<Hub>,
    pub(super) connections: Arc<Connections>,
    pub(super) login: Arc<Login>,
    pub(super) outbound: Outbound,
    /// What the configuration names, for those who end what it no longer does.
    pub(super) configured: watch::Sender<Configured>,
    pub(super) authorization: Option<Arc<AuthorizationServer>>,
}

impl Taking {
    pub(crate) fn take(&self, config: &Config) -> anyhow::Result<()> {
        self.outbound.set_policy(outbound_policy(config))?;
        let hub_config = hub_config(config);
        if let Some(authorization) = &self.authorization {
            authorization.apply(config.authorization.clone());
        }
        self.login.apply(config.sign_in.clone());
        let with_keys = config.profiles.values().filter(|profile| profile.auth != ProfileAuth::None);
        self.login.apply_profiles(
            with_keys.map(|profile| (profile.name.clone(), profile.members.clone())).collect(),
        );
        self.connections.configure(&hub_config.servers);
        self.hub.apply(hub_config)?;
        self.configured.send_replace(absent::configured(config));
        Ok(())
    }
}

/// What the operator has opened, besides the hosts of what is configured.
pub(super) fn outbound_policy(config: &Config) -> OutboundPolicy {
    let mut policy = config.outbound.clone();
    for spec in config.servers.values() {
        let Endpoint::Http(endpoint) = &spec.endpoint else { continue };
        if !endpoint.auth.is_from_authorization_server() {
            continue;
        }
        let named = match endpoint.auth.exchange().map(|exchange| &exchange.at) {
            Some(ExchangeAt::Endpoint { token_endpoint, .. }) => Some(token_endpoint),
            // The host of a provider is open already.
            Some(ExchangeAt::Provider(_)) | None => None,
        };
        for url in std::iter::once(&endpoint.url).chain(named).filter_map(|url| Url::parse(url).ok()) {
            policy.open_host_of(&url);
        }
    }
    policy
}

/// What the hub takes over from a configuration, at the start and on reload.
fn hub_config(config: &Config) -> HubConfig {
    HubConfig {
        servers: config.servers.values().cloned().collect(),
        profiles: config.profiles.values().cloned().collect(),
    }
}
