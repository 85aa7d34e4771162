//! What our authorization server stores: its keys, its clients, and what
//! users granted them. Tokens and codes are stored as hashes only.

mod clients;
mod codes;
mod consents;
mod devices;
mod grants;
mod refresh;
mod signing_keys;
mod sweep;
mod used_assertions;

pub use clients::Clients;
pub use codes::{AuthorizationCode, Codes};
pub use consents::{Consent, Consents};
pub use devices::{Device, DeviceState, Devices, Poll};
pub use grants::Grants;
pub use refresh::{RefreshToken, RefreshTokens, Rotation};
pub use signing_keys::{SigningKey, SigningKeys};
pub use sweep::Swept;
pub use used_assertions::UsedAssertions;

pub(crate) use sweep::sweep;

#[cfg(test)]
pub(crate) const STATEMENTS: &[&[&str]] = &[
    clients::STATEMENTS,
    codes::STATEMENTS,
    consents::STATEMENTS,
    devices::STATEMENTS,
    grants::STATEMENTS,
    refresh::STATEMENTS,
    signing_keys::STATEMENTS,
    sweep::STATEMENTS,
    used_assertions::STATEMENTS,
];

use trunkline_model::{TokenHash, TokenTarget};

use crate::error::StoreError;

fn hash(what: &'static str, bytes: Vec<u8>) -> Result<TokenHash, StoreError> {
    let wrong = |_| StoreError::Damaged { what, detail: "a hash has not 32 bytes".to_owned() };
    Ok(TokenHash(bytes.try_into().map_err(wrong)?))
}

fn target(what: &'static str, name: &str) -> Result<TokenTarget, StoreError> {
    let wrong = || StoreError::Damaged { what, detail: format!("{name:?} is no resource of the hub") };
    TokenTarget::stored(name).ok_or_else(wrong)
}
