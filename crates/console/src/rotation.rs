//! How long a secret before the newest one goes on.

use std::time::Duration;

use axum::response::Response;
use serde::Deserialize;
use trunkline_model::Timestamp;

use crate::failure::unfit;

/// When nobody says.
const GRACE: Duration = Duration::from_hours(24);
const LONGEST_GRACE: Duration = Duration::from_hours(24 * 30);

/// The body of a request for another secret.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Rotation {
    /// How long the secret before goes on, in seconds.
    grace_seconds: Option<u64>,
}

impl Rotation {
    /// Until when the secret before is good; an answer when that is too long.
    pub(crate) fn previous_until(&self, now: Timestamp) -> Result<Timestamp, Box<Response>> {
        let grace = self.grace_seconds.map_or(GRACE, Duration::from_secs);
        if grace > LONGEST_GRACE {
            return Err(Box::new(unfit(format!("the grace is at most {} seconds", LONGEST_GRACE.as_secs()))));
        }
        Ok(now.plus(grace))
    }
}
