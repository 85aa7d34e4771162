//! A device asks whether its user has allowed it (RFC 8628 section 3.4).

use std::time::Duration;

use trunkline_model::GrantFlow;
use trunkline_storage::authorization::{DeviceState, Poll};

use super::{TokenError, require_grant_type, required};
use crate::keys;
use crate::server::AuthorizationServer;
use crate::server::client::Client;
use crate::server::client_metadata::DEVICE_CODE;
use crate::server::form::Form;
use crate::server::issue::{Granting, Issued, wants_refresh};

/// How long a device waits between two questions. A little less than it was
/// told: clocks and networks are not exact.
const INTERVAL: Duration = Duration::from_millis(4_500);

const NOT_GOOD: TokenError = TokenError::Grant("the device code is not good, or not this client's");

impl AuthorizationServer {
    pub(super) async fn redeem_device_code(
        &self,
        client: &Client,
        form: &Form,
    ) -> Result<Issued, TokenError> {
        require_grant_type(client, DEVICE_CODE)?;
        let text = required(form, "device_code")?;
        let hash = keys::Form::DEVICE.hash_if_well_formed(text).ok_or(NOT_GOOD)?;
        let device = self.store.devices().find(&hash).await?.filter(|device| device.client == client.id());
        let device = device.ok_or(NOT_GOOD)?;
        let now = self.clock.now();
        if now >= device.expires_at {
            return Err(TokenError::ExpiredToken);
        }
        if self.store.devices().poll(&device, now, INTERVAL).await? == Poll::TooSoon {
            return Err(TokenError::SlowDown);
        }
        let user = match device.state {
            DeviceState::Pending => return Err(TokenError::AuthorizationPending),
            DeviceState::Denied => return Err(TokenError::AccessDenied),
            DeviceState::Used => return Err(NOT_GOOD),
            DeviceState::Allowed(user) => user,
        };
        if !self.admits(user, &device.target) {
            return Err(TokenError::AccessDenied);
        }
        let grant = self.new_grant(&Granting {
            id: device.grant,
            user,
            client: client.id(),
            target: &device.target,
            scope: &device.scope,
            flow: GrantFlow::Device,
            lasts: wants_refresh(client, &device.scope),
        });
        let refresh = wants_refresh(client, &device.scope).then(|| self.new_refresh_token(&grant, None));
        let stored = refresh.as_ref().map(|(_, stored)| stored);
        // Signed first: a code is not used up for nothing.
        let issued = self.issued(&grant, refresh.as_ref().map(|(secret, _)| secret))?;
        if !self.store.devices().redeem(&hash, &grant, stored).await? {
            return Err(NOT_GOOD);
        }
        Ok(issued)
    }
}
