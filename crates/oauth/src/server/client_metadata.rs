//! What a client says of itself (RFC 7591 section 2), and whether it may.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error;
use url::Url;

use super::redirect;

const MOST_REDIRECTS: usize = 20;
const LONGEST_NAME: usize = 100;
const LONGEST_URL: usize = 2048;
/// Bytes of a client's keys.
const LARGEST_KEYS: usize = 16 * 1024;

/// The members that we use. Others are ignored (RFC 7591 section 2), and are
/// not in the answer.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ClientMetadata {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_name: Option<String>,
    pub(crate) redirect_uris: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token_endpoint_auth_method: Option<AuthMethod>,
    pub(crate) grant_types: Vec<String>,
    pub(crate) response_types: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) application_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client_uri: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) software_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) software_version: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) jwks: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) jwks_uri: Option<String>,
}

/// How a client proves who it is at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AuthMethod {
    None,
    ClientSecretBasic,
    ClientSecretPost,
    PrivateKeyJwt,
}

/// Why a client may not register so (RFC 7591 section 3.2.2).
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum MetadataFault {
    #[error("redirect_uris: {0} cannot be a redirect URI of this client")]
    Redirect(String),
    #[error("redirect_uris: there must be 1 to {MOST_REDIRECTS}")]
    RedirectCount,
    #[error("{0}")]
    Other(&'static str),
}

/// What a client may ask for that registers itself.
const GRANT_TYPES: [&str; 3] = ["authorization_code", "refresh_token", DEVICE_CODE];
pub(super) const DEVICE_CODE: &str = "urn:ietf:params:oauth:grant-type:device_code";

impl ClientMetadata {
    /// Fills in what is absent and checks the rest, for a client that nobody
    /// vouches for.
    pub(crate) fn checked(mut self) -> Result<Self, MetadataFault> {
        self.fill_in();
        self.check_redirects()?;
        self.check_texts()?;
        if !self.grant_types.iter().all(|grant| GRANT_TYPES.contains(&grant.as_str())) {
            return Err(MetadataFault::Other(
                "grant_types: a client that registers itself can have authorization_code, refresh_token and device_code",
            ));
        }
        if self.response_types.iter().any(|kind| kind != "code") {
            return Err(MetadataFault::Other("response_types: only code is supported"));
        }
        Ok(self)
    }

    fn fill_in(&mut self) {
        self.token_endpoint_auth_method.get_or_insert(AuthMethod::ClientSecretBasic);
        if self.grant_types.is_empty() {
            self.grant_types.push("authorization_code".to_owned());
        }
        if self.response_types.is_empty() && self.has_grant_type("authorization_code") {
            self.response_types.push("code".to_owned());
        }
        // Without it a client that cannot say more would have no way on.
        self.application_type.get_or_insert_with(|| "web".to_owned());
    }

    fn check_redirects(&self) -> Result<(), MetadataFault> {
        let needed = usize::from(self.has_grant_type("authorization_code"));
        if !(needed..=MOST_REDIRECTS).contains(&self.redirect_uris.len()) {
            return Err(MetadataFault::RedirectCount);
        }
        match self.redirect_uris.iter().find(|uri| redirect::kind(uri).is_none()) {
            Some(bad) => {
                Err(MetadataFault::Redirect(bad.chars().filter(char::is_ascii_graphic).take(100).collect()))
            }
            None => Ok(()),
        }
    }

    fn check_texts(&self) -> Result<(), MetadataFault> {
        let one_line = |text: &str| text.chars().count() <= LONGEST_NAME && !text.chars().any(is_deceptive);
        let short = [&self.client_name, &self.software_id, &self.software_version, &self.application_type];
        if !short.into_iter().flatten().all(|text| one_line(text)) {
            return Err(MetadataFault::Other(
                "a name is longer than 100 characters, or has control characters",
            ));
        }
        if self.scope.as_ref().is_some_and(|scope| scope.len() > 1000) {
            return Err(MetadataFault::Other("scope: it is too long"));
        }
        let web = |url: &String| {
            url.len() <= LONGEST_URL && Url::parse(url).is_ok_and(|url| url.scheme() == "https")
        };
        if self.jwks_uri.as_ref().is_some_and(|url| !web(url)) {
            return Err(MetadataFault::Other("jwks_uri: it must be an https URL"));
        }
        if self.client_uri.as_ref().is_some_and(|url| url.len() > LONGEST_URL) {
            return Err(MetadataFault::Other("client_uri: it is too long"));
        }
        if self.jwks.as_ref().is_some_and(|keys| keys.to_string().len() > LARGEST_KEYS) {
            return Err(MetadataFault::Other("jwks: it is too large"));
        }
        let has_keys = self.jwks.is_some() != self.jwks_uri.is_some();
        if self.auth_method() == AuthMethod::PrivateKeyJwt && !has_keys {
            return Err(MetadataFault::Other("private_key_jwt needs either jwks or jwks_uri"));
        }
        Ok(())
    }

    pub(crate) fn auth_method(&self) -> AuthMethod {
        self.token_endpoint_auth_method.unwrap_or(AuthMethod::ClientSecretBasic)
    }

    /// Leaves out what a client may not have that nobody vouches for.
    pub(crate) fn retain_grant_types(&mut self) {
        self.grant_types.retain(|grant| GRANT_TYPES.contains(&grant.as_str()));
    }

    pub(crate) fn has_grant_type(&self, wanted: &str) -> bool {
        self.grant_types.iter().any(|grant| grant == wanted)
    }
}

/// Control characters, and those that turn the direction of text round or
/// cannot be seen: a name must look like what it is.
fn is_deceptive(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<ClientMetadata, MetadataFault> {
        serde_json::from_value::<ClientMetadata>(value).expect("metadata").checked()
    }

    #[test]
    fn a_client_that_says_little_gets_what_rfc_7591_says() {
        let client = read(json!({ "redirect_uris": ["http://localhost/cb"] })).expect("accepted");
        assert_eq!(client.auth_method(), AuthMethod::ClientSecretBasic);
        assert_eq!(client.grant_types, ["authorization_code"]);
        assert_eq!(client.response_types, ["code"]);
    }

    #[test]
    fn what_a_client_may_not_say_of_itself_is_refused() {
        for bad in [
            json!({}),
            json!({ "redirect_uris": [] }),
            json!({ "redirect_uris": ["javascript:alert(1)"] }),
            json!({ "redirect_uris": ["https://a.example/#x"] }),
            json!({ "redirect_uris": vec!["https://a.example/"; 21] }),
            json!({ "redirect_uris": ["https://a.example/"], "client_name": "x".repeat(101) }),
            json!({ "redirect_uris": ["https://a.example/"], "client_name": "a\u{202e}b" }),
            json!({ "redirect_uris": ["https://a.example/"], "client_name": "a\nb" }),
            json!({ "redirect_uris": ["https://a.example/"], "grant_types": ["client_credentials"] }),
            json!({ "redirect_uris": ["https://a.example/"], "response_types": ["token"] }),
            json!({ "redirect_uris": ["https://a.example/"], "token_endpoint_auth_method": "private_key_jwt" }),
            json!({ "redirect_uris": ["https://a.example/"], "jwks_uri": "http://a.example/" }),
        ] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }
}
