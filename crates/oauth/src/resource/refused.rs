//! Why a request is not let in, and how a client is told.

use http::{HeaderValue, StatusCode};
use thiserror::Error;
use trunkline_model::Reason;

use crate::scope;

/// Why nobody is let in. The words are for whoever sent the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Refused {
    #[error("No credential. Send an API key as 'Authorization: Bearer tlk_...' or 'x-api-key: tlk_...'.")]
    Missing,
    /// As [`Missing`](Self::Missing), where signing in is the usual way.
    #[error(
        "Nobody is signed in. Let your client sign in here, or send an API key as 'Authorization: Bearer tlk_...'."
    )]
    NotSignedIn,
    #[error("More than one credential. Send one API key, in one header.")]
    Ambiguous,
    #[error("This is not an API key of a Trunkline hub, or not a whole one. Copy it again.")]
    Malformed,
    #[error(
        "This hub does not know this API key. Check the hub's address, or create a key with 'trunkline key create'."
    )]
    Unknown,
    #[error("This API key has expired. Create a new one with 'trunkline key create'.")]
    Expired,
    #[error("This API key has been revoked. Create a new one with 'trunkline key create'.")]
    Revoked,
    #[error(
        "This API key belongs to another profile. Use the endpoint of that profile, or a key of this one."
    )]
    OtherProfile,
    #[error("The user this API key belongs to is disabled. Ask an administrator of the hub.")]
    OwnerDisabled,
    #[error("This profile is not for the owner of this credential. Ask an administrator of the hub.")]
    NotMember,
    /// Not signed by this hub, changed on the way, or no access token at all.
    #[error("This is not an access token of this hub. Sign in again.")]
    TokenNotOurs,
    #[error("This access token has expired. Refresh it, or sign in again.")]
    TokenExpired,
    #[error("This access token has been revoked. Sign in again.")]
    TokenRevoked,
    #[error("This access token is for another profile. Sign in at the endpoint of this one.")]
    TokenOfOtherProfile,
    #[error("Neither API keys nor tokens of profiles open the admin API. Get an access token for it.")]
    NotForAdminApi,
    /// The key is not in memory and the database cannot be asked: it may be
    /// good. Trying again is safe and may help.
    #[error("This hub cannot check this API key now. Try again later.")]
    Unavailable,
}

impl Refused {
    pub fn status(self) -> StatusCode {
        match self {
            Self::Missing
            | Self::NotSignedIn
            | Self::Malformed
            | Self::Unknown
            | Self::Expired
            | Self::Revoked
            | Self::OwnerDisabled
            | Self::OtherProfile
            | Self::TokenNotOurs
            | Self::TokenExpired
            | Self::TokenRevoked
            | Self::TokenOfOtherProfile
            | Self::NotForAdminApi => StatusCode::UNAUTHORIZED,
            // RFC 6750 section 3.1: signing in again would not help.
            Self::NotMember => StatusCode::FORBIDDEN,
            Self::Ambiguous => StatusCode::BAD_REQUEST,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// What the audit trail says of it.
    pub fn reason(self) -> Reason {
        match self {
            Self::OtherProfile | Self::TokenOfOtherProfile | Self::NotForAdminApi => Reason::OtherProfile,
            Self::NotMember => Reason::NotMember,
            Self::Ambiguous => Reason::BadRequest,
            Self::Missing
            | Self::NotSignedIn
            | Self::Malformed
            | Self::Unknown
            | Self::Expired
            | Self::Revoked
            | Self::OwnerDisabled
            | Self::TokenNotOurs
            | Self::TokenExpired
            | Self::TokenRevoked
            | Self::Unavailable => Reason::NotAuthenticated,
        }
    }

    /// The `WWW-Authenticate` header of the answer (RFC 6750 section 3), with
    /// the URL of the resource's metadata where it has any (RFC 9728 section
    /// 5.1). None where the credential is not known to be bad: a client would
    /// throw it away.
    pub fn challenge(self, resource_metadata: Option<&str>) -> Option<HeaderValue> {
        self.challenge_for(resource_metadata, scope::MCP)
    }

    /// [`challenge`](Self::challenge) of a resource whose tokens have this scope.
    pub fn challenge_for(self, resource_metadata: Option<&str>, scope: &str) -> Option<HeaderValue> {
        let error = match self {
            // RFC 6750 section 3.1: no error code for a request without a credential.
            Self::Missing | Self::NotSignedIn => None,
            Self::Ambiguous => Some("invalid_request"),
            Self::Malformed
            | Self::Unknown
            | Self::Expired
            | Self::Revoked
            | Self::OwnerDisabled
            | Self::OtherProfile
            | Self::TokenNotOurs
            | Self::TokenExpired
            | Self::TokenRevoked
            | Self::TokenOfOtherProfile
            | Self::NotForAdminApi => Some("invalid_token"),
            Self::NotMember | Self::Unavailable => return None,
        };
        let mut parameters = Vec::with_capacity(4);
        match resource_metadata {
            Some(url) if is_quotable(url) => {
                parameters.push(format!("resource_metadata=\"{url}\""));
                // Without it clients ask for every scope that they find.
                parameters.push(format!("scope=\"{scope}\""));
            }
            // The scheme needs a parameter.
            _ => parameters.push("realm=\"trunkline\"".to_owned()),
        }
        if let Some(error) = error {
            parameters.push(format!("error=\"{error}\""));
            parameters.push(format!("error_description=\"{self}\""));
        }
        HeaderValue::try_from(format!("Bearer {}", parameters.join(", "))).ok()
    }
}

pub(super) fn is_quotable(url: &str) -> bool {
    url.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Refused; 16] = [
        Refused::Missing,
        Refused::NotSignedIn,
        Refused::Ambiguous,
        Refused::Malformed,
        Refused::Unknown,
        Refused::Expired,
        Refused::Revoked,
        Refused::OtherProfile,
        Refused::OwnerDisabled,
        Refused::NotMember,
        Refused::TokenNotOurs,
        Refused::TokenExpired,
        Refused::TokenRevoked,
        Refused::TokenOfOtherProfile,
        Refused::NotForAdminApi,
        Refused::Unavailable,
    ];

    fn challenge(refused: Refused, metadata: Option<&str>) -> String {
        refused.challenge(metadata).expect("a challenge").to_str().expect("ASCII").to_owned()
    }

    #[test]
    fn who_sent_nothing_is_told_where_to_ask_and_no_error() {
        assert_eq!(
            challenge(Refused::NotSignedIn, Some("https://h/m")),
            "Bearer resource_metadata=\"https://h/m\", scope=\"mcp\""
        );
        assert_eq!(challenge(Refused::Missing, None), "Bearer realm=\"trunkline\"");
    }

    #[test]
    fn who_sent_a_bad_key_is_told_the_fix() {
        let text = challenge(Refused::Revoked, Some("https://h/m"));
        assert!(
            text.starts_with(
                "Bearer resource_metadata=\"https://h/m\", scope=\"mcp\", error=\"invalid_token\", "
            ),
            "{text}"
        );
        assert!(
            text.contains("error_description=\"This API key has been revoked. Create a new one"),
            "{text}"
        );
    }

    #[test]
    fn a_key_that_may_be_good_is_not_called_bad() {
        assert_eq!(Refused::Unavailable.challenge(Some("https://h/m")), None);
        assert_eq!(Refused::Unavailable.status(), 503);
        assert_eq!((Refused::NotMember.challenge(None), Refused::NotMember.status().as_u16()), (None, 403));
    }

    #[test]
    fn every_description_has_the_characters_that_rfc_6750_allows() {
        for refused in ALL {
            let text = refused.to_string();
            assert!(
                text.bytes().all(|byte| matches!(byte, 0x20..=0x7E) && byte != b'"' && byte != b'\\'),
                "{text}"
            );
        }
        assert_eq!(challenge(Refused::Missing, Some("a\"b")), "Bearer realm=\"trunkline\"");
    }
}
