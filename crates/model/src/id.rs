//! Ids of what people make: they stand in lists, logs, tokens and the audit trail.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::Timestamp;

macro_rules! id {
    ($(#[$doc:meta])* $type:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $type(Uuid);

        impl $type {
            pub const fn from_uuid(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// A new id: a UUID of version 7 (RFC 9562 section 5.7), so that
            /// ids sort by when they were made.
            pub fn new(random: [u8; 10], now: Timestamp) -> Self {
                let milliseconds = u64::try_from(now.as_micros() / 1000).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid())
            }

            pub const fn as_uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!($prefix, "{}"), self.0.simple())
            }
        }

        impl FromStr for $type {
            type Err = uuid::Error;

            /// Takes what `Display` prints; the prefix may be left out.
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(text.strip_prefix($prefix).unwrap_or(text)).map(Self)
            }
        }
    };
}

id!(
    /// The id of an API key.
    KeyId,
    "key_"
);
id!(
    /// The id of a user: a person or a service account.
    UserId,
    "usr_"
);
id!(
    /// The id of a team.
    TeamId,
    "team_"
);
id!(
    /// The id of a browser session: one person, signed in, in one browser.
    SessionId,
    "sess_"
);
id!(
    /// The id of a grant: what one user allowed one OAuth client in one profile.
    GrantId,
    "grant_"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_printed_and_sorts_by_age() {
        let at = |seconds: i64| UserId::new([7; 10], Timestamp::from_micros(seconds * 1_000_000));
        let id = at(1_700_000_000);
        assert!(id.to_string().starts_with("usr_018b"), "{id}");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.as_uuid().get_version_num(), 7);
        assert!(id < at(1_700_000_001));
        assert!("usr_x".parse::<UserId>().is_err());
    }
}
