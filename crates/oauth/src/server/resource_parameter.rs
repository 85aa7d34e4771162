//! `resource` (RFC 8707): what a token is wanted for.

use trunkline_model::{ClientKind, TokenTarget};

use super::AuthorizationServer;
use super::client::Client;

impl AuthorizationServer {
    /// What `resource` is, letter by letter, if the client may have tokens
    /// for it. Without one, the only profile that there is; with several it
    /// cannot be told.
    pub(super) fn target_of(&self, resource: Option<&str>, client: &Client) -> Option<TokenTarget> {
        let target = match resource {
            Some(resource) => TokenTarget::at(self.base.path_of(resource)?)?,
            None => match self.profiles.all().as_slice() {
                [only] => TokenTarget::Profile(only.clone()),
                _ => return None,
            },
        };
        let is_open = match &target {
            TokenTarget::Profile(name) => self.profiles.find(name.as_str()).is_some(),
            // What a stranger registered never comes to administer the hub, whoever is talked into it.
            TokenTarget::AdminApi => client.stored.kind == ClientKind::Registered,
        };
        is_open.then_some(target)
    }

    /// Whether `resource` is this one.
    pub(super) fn is_resource(&self, resource: &str, target: &TokenTarget) -> bool {
        self.base.path_of(resource).is_some_and(|path| path == target.path())
    }
}
