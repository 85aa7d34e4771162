//! Who is asking: people, their sessions, keys and tokens, on the profiles of
//! the running hub.

use std::sync::Arc;

use anyhow::Context as _;
use trunkline_mcp_hub::Hub;
use trunkline_model::{Clock, ProfileAuth, ProfileName, ProfileScope};
use trunkline_oauth::login::{Login, LoginParts, Sessions};
use trunkline_oauth::scope::Scope;
use trunkline_oauth::server::{ProfileAccess, Profiles};
use trunkline_oauth::{People, Resource, Tokens};
use trunkline_storage::Store;
use trunkline_web::{Outbound, Tasks};
use url::Url;

use crate::config::Config;

/// Everything that says who is asking. It follows the database.
pub(crate) struct Asking {
    pub(crate) people: Arc<People>,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) resource: Arc<Resource>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) login: Arc<Login>,
}

impl Asking {
    /// Reads all of it.
    ///
    /// # Errors
    /// What cannot be read.
    pub(crate) async fn load(
        store: &Arc<Store>,
        clock: &Arc<dyn Clock>,
        tasks: &Tasks,
        outbound: &Outbound,
        config: &Config,
        public_url: &Url,
    ) -> anyhow::Result<Self> {
        let parts = || (Arc::clone(store), Arc::clone(clock));
        let (shared, time) = parts();
        let people = People::load(shared, time).await.context("reading the users")?;
        people.follow_changes(tasks);
        let (shared, time) = parts();
        let tokens =
            Tokens::load(shared, time, public_url).await.context("the keys that sign access tokens")?;
        tokens.follow_changes(tasks);
        let (shared, time) = parts();
        let resource = Resource::load(shared, Arc::clone(&people), Arc::clone(&tokens), time);
        let resource = resource.await.context("reading the API keys")?;
        resource.follow_changes(tasks);
        resource.write_uses(Arc::clone(store), tasks);
        let (shared, time) = parts();
        let sessions = Arc::new(Sessions::new(shared, Arc::clone(&people), time, public_url));
        sessions.write_uses(tasks);
        let (store, clock) = parts();
        let login = Login::new(LoginParts {
            store,
            clock,
            people: Arc::clone(&people),
            sessions: Arc::clone(&sessions),
            resource: Arc::clone(&resource),
            outbound: outbound.clone(),
            settings: config.sign_in.clone(),
            public_url: public_url.clone(),
        })?;
        Ok(Self { people, tokens, resource, sessions, login })
    }
}

/// The profiles as they are at each question.
#[derive(Debug)]
pub(crate) struct HubProfiles(pub(crate) Arc<Hub>);

impl Profiles for HubProfiles {
    fn find(&self, name: &str) -> Option<ProfileAccess> {
        let profile = self.0.profile(name).filter(|profile| profile.auth() == ProfileAuth::Oauth)?;
        let scope = |(name, scope): (&String, &ProfileScope)| Scope {
            name: name.clone(),
            description: scope.description.clone(),
        };
        Some(ProfileAccess {
            name: profile.name().clone(),
            members: profile.members().cloned(),
            scopes: profile.spec().scopes.iter().map(scope).collect(),
        })
    }

    fn all(&self) -> Vec<ProfileName> {
        let profiles = self.0.profiles();
        let with_sign_in = profiles.iter().filter(|profile| profile.auth() == ProfileAuth::Oauth);
        with_sign_in.map(|profile| profile.name().clone()).collect()
    }
}
