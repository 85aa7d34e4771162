//! What is kept sealed, and its form before it is.

use serde::{Deserialize, Serialize};
use serde_json::json;
use trunkline_model::{ConnectionOwner, Secret, ServerName, Timestamp};
use trunkline_storage::{Sealed, Sealer, VaultError};
use zeroize::Zeroizing;

use super::token::Tokens;

/// The secrets of a registered client.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct ClientSecrets {
    #[serde(default)]
    pub(super) secret: Option<Secret>,
    /// Manages the registration (RFC 7592 section 3).
    #[serde(default)]
    pub(super) registration_token: Option<Secret>,
}

/// A consent that has begun: what its callback needs, and for whom it is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Begun {
    pub(super) server: ServerName,
    pub(super) owner: ConnectionOwner,
    /// Who began it; nobody when an operator did from the command line.
    pub(super) person: Option<String>,
    /// SHA-256 of the cookie of the browser that began it, in base64url.
    pub(super) browser: String,
    pub(super) verifier: String,
    pub(super) issuer: String,
    /// Whether the answer must name its issuer (RFC 9207 section 2.4).
    pub(super) names_issuer: bool,
    pub(super) token_endpoint: String,
    pub(super) revocation_endpoint: Option<String>,
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) resource: String,
    pub(super) scopes: Vec<String>,
}

/// A link that lets one browser begin a consent for somebody.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Invitation {
    pub(super) server: ServerName,
    pub(super) owner: ConnectionOwner,
}

#[derive(Deserialize)]
struct StoredTokens {
    access_token: Secret,
    #[serde(default)]
    refresh_token: Option<Secret>,
    obtained_at: Timestamp,
    #[serde(default)]
    expires_at: Option<Timestamp>,
}

/// What binds tokens to their row: they open for the same server and owner only.
pub(super) fn place_of_tokens(server: &ServerName, owner: &ConnectionOwner) -> String {
    format!("{server}\n{owner}")
}

/// What binds a client's secrets to its row.
pub(super) fn place_of_client(server: &ServerName, issuer: &str) -> String {
    format!("{server}\n{issuer}")
}

/// # Errors
/// The cryptographic library refuses.
pub(super) fn seal_tokens(sealer: &Sealer, place: &str, tokens: &Tokens) -> Result<String, VaultError> {
    let text = Zeroizing::new(
        json!({
            "access_token": tokens.access_token.expose(),
            "refresh_token": tokens.refresh_token.as_ref().map(Secret::expose),
            "obtained_at": tokens.obtained_at,
            "expires_at": tokens.expires_at,
        })
        .to_string(),
    );
    Ok(sealer.seal(place, text.as_bytes())?.to_string())
}

/// # Errors
/// The seal is broken, or of another place.
pub(super) fn open_tokens(sealer: &Sealer, place: &str, sealed: &str) -> Result<Tokens, VaultError> {
    let stored: StoredTokens = open(sealer, place, sealed)?;
    let StoredTokens { access_token, refresh_token, obtained_at, expires_at } = stored;
    Ok(Tokens { access_token, refresh_token, obtained_at, expires_at })
}

/// # Errors
/// The cryptographic library refuses.
pub(super) fn seal_client(
    sealer: &Sealer,
    place: &str,
    secrets: &ClientSecrets,
) -> Result<Option<String>, VaultError> {
    if secrets.secret.is_none() && secrets.registration_token.is_none() {
        return Ok(None);
    }
    let text = Zeroizing::new(
        json!({
            "secret": secrets.secret.as_ref().map(Secret::expose),
            "registration_token": secrets.registration_token.as_ref().map(Secret::expose),
        })
        .to_string(),
    );
    Ok(Some(sealer.seal(place, text.as_bytes())?.to_string()))
}

/// # Errors
/// The seal is broken, or of another place.
pub(super) fn open<T: for<'de> Deserialize<'de>>(
    sealer: &Sealer,
    place: &str,
    sealed: &str,
) -> Result<T, VaultError> {
    let sealed: Sealed = sealed.parse()?;
    let text = sealer.open(place, &sealed)?;
    serde_json::from_slice(&text).map_err(|_| VaultError::Malformed)
}

/// # Errors
/// The cryptographic library refuses.
pub(super) fn seal(sealer: &Sealer, place: &str, what: &impl Serialize) -> Result<String, VaultError> {
    let text = Zeroizing::new(serde_json::to_string(what).map_err(|_| VaultError::Malformed)?);
    Ok(sealer.seal(place, text.as_bytes())?.to_string())
}
