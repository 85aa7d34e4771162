//! `resource` (RFC 8707): the one profile that a token is wanted for.

use super::{AuthorizationServer, ProfileAccess};

impl AuthorizationServer {
    /// The profile whose endpoint `resource` is, letter by letter. Without
    /// one, the only profile that there is; with several it cannot be told.
    pub(super) fn profile_of(&self, resource: Option<&str>) -> Option<ProfileAccess> {
        match resource {
            Some(resource) => {
                let name = resource.strip_prefix(self.issuer())?.strip_prefix("/mcp/")?;
                self.profiles.find(name)
            }
            None => match self.profiles.all().as_slice() {
                [only] => self.profiles.find(only.as_str()),
                _ => None,
            },
        }
    }
}
