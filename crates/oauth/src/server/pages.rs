//! The pages of this server. Their forms go to addresses beside their own, so
//! that they work under any path that a reverse proxy puts in front.

use askama::Template;
use trunkline_model::TokenTarget;

use crate::login::SignedIn;
use crate::scope::Scope;

/// Asks a user whether a client may act for them.
#[derive(Debug, Template)]
#[template(path = "consent.html")]
pub(super) struct ConsentPage {
    pub(super) client: String,
    /// The host of the client's own address, where that is known.
    pub(super) client_host: Option<String>,
    /// An operator of the hub has vouched for the name.
    pub(super) is_verified: bool,
    /// Where the answer goes.
    pub(super) destination: String,
    /// Any program on the user's machine could be there.
    pub(super) is_local: bool,
    /// The profile, or what else the tokens open.
    pub(super) resource: String,
    /// The user's role, where it is the admin API.
    pub(super) administers_as: Option<&'static str>,
    /// Scopes of the profile that are asked for.
    pub(super) scopes: Vec<Scope>,
    /// Those that the user has allowed this client before.
    pub(super) kept: Vec<Scope>,
    pub(super) user: String,
    pub(super) stays_signed_in: bool,
    pub(super) transaction: String,
}

/// Asks for the code that a device shows.
#[derive(Debug, Template)]
#[template(path = "device_code.html")]
pub(super) struct DeviceCodePage {
    pub(super) code: String,
    pub(super) fault: Option<&'static str>,
    pub(super) user: String,
    pub(super) transaction: String,
}

/// Asks whether a device may act for the user.
#[derive(Debug, Template)]
#[template(path = "device_consent.html")]
pub(super) struct DeviceConsentPage {
    pub(super) client: String,
    pub(super) is_verified: bool,
    pub(super) code: String,
    /// The profile, or what else the tokens open.
    pub(super) resource: String,
    /// The user's role, where it is the admin API.
    pub(super) administers_as: Option<&'static str>,
    pub(super) scopes: Vec<Scope>,
    pub(super) user: String,
    pub(super) transaction: String,
}

/// The role with which tokens for `target` would administer the hub, if they would.
pub(super) fn administers_as(target: &TokenTarget, signed_in: &SignedIn) -> Option<&'static str> {
    (*target == TokenTarget::AdminApi).then(|| signed_in.user.role.as_str())
}
