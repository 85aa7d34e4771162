//! `resource` (RFC 8707): the one profile that a token is wanted for.

use trunkline_model::ProfileName;

use super::{AuthorizationServer, ProfileAccess};

impl AuthorizationServer {
    /// The profile whose endpoint `resource` is, letter by letter. Without
    /// one, the only profile that there is; with several it cannot be told.
    pub(super) fn profile_of(&self, resource: Option<&str>) -> Option<ProfileAccess> {
        match resource {
            Some(resource) => {
                let name = self.base.path_of(resource)?.strip_prefix("/mcp/")?;
                self.profiles.find(name)
            }
            None => match self.profiles.all().as_slice() {
                [only] => self.profiles.find(only.as_str()),
                _ => None,
            },
        }
    }

    /// Whether `resource` is the endpoint of this profile.
    pub(super) fn is_endpoint(&self, resource: &str, profile: &ProfileName) -> bool {
        let name = self.base.path_of(resource).and_then(|path| path.strip_prefix("/mcp/"));
        name == Some(profile.as_str())
    }
}
