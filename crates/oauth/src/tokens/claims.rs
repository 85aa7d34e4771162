//! The claims of an access token (RFC 9068 section 2.2).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use trunkline_model::{Timestamp, TokenTarget};

use super::{LIFETIME, Verified, Wanted};

/// Exactly what we write: a claim that is missing, unknown or there twice is
/// not ours.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Claims {
    iss: String,
    aud: String,
    sub: String,
    client_id: String,
    scope: String,
    /// The grant.
    sid: String,
    jti: String,
    /// Seconds.
    iat: i64,
    exp: i64,
}

impl Claims {
    pub(super) fn new(
        issuer: &str,
        audience: &str,
        wanted: &Wanted<'_>,
        id: [u8; 16],
        now: Timestamp,
    ) -> Self {
        let issued_at = now.as_micros().div_euclid(1_000_000);
        let lifetime = i64::try_from(LIFETIME.as_secs()).unwrap_or(0);
        Self {
            iss: issuer.to_owned(),
            aud: audience.to_owned(),
            sub: wanted.user.to_string(),
            client_id: wanted.client.to_owned(),
            scope: wanted.scope.to_owned(),
            sid: wanted.grant.to_string(),
            jti: URL_SAFE_NO_PAD.encode(id),
            iat: issued_at,
            exp: issued_at.saturating_add(lifetime),
        }
    }

    /// What they say; none unless the issuer is ours and the audience is a
    /// resource of ours, letter by letter.
    pub(super) fn verified(self, issuer: &str) -> Option<Verified> {
        if self.iss != issuer {
            return None;
        }
        Some(Verified {
            target: TokenTarget::at(self.aud.strip_prefix(issuer)?)?,
            user: self.sub.parse().ok()?,
            grant: self.sid.parse().ok()?,
            client: self.client_id.into(),
            scope: self.scope.into(),
            issued_at: seconds(self.iat)?,
            expires_at: seconds(self.exp)?,
            id: self.jti,
        })
    }
}

fn seconds(value: i64) -> Option<Timestamp> {
    value.checked_mul(1_000_000).map(Timestamp::from_micros)
}
