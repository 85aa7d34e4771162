//! The authorization server, on the profiles of the running hub.

use std::sync::Arc;

use trunkline_mcp_hub::Hub;
use trunkline_model::{ProfileAuth, ProfileName};
use trunkline_oauth::server::{ProfileAccess, Profiles};

/// The profiles as they are at each question.
#[derive(Debug)]
pub(crate) struct HubProfiles(pub(crate) Arc<Hub>);

impl Profiles for HubProfiles {
    fn find(&self, name: &str) -> Option<ProfileAccess> {
        let profile = self.0.profile(name).filter(|profile| profile.auth() == ProfileAuth::Oauth)?;
        Some(ProfileAccess { name: profile.name().clone(), members: profile.members().cloned() })
    }

    fn all(&self) -> Vec<ProfileName> {
        let profiles = self.0.profiles();
        let with_sign_in = profiles.iter().filter(|profile| profile.auth() == ProfileAuth::Oauth);
        with_sign_in.map(|profile| profile.name().clone()).collect()
    }
}
