//! What is kept of a sign-in for servers that are shown who calls: the ID
//! token, and what renews it. Sealed for one person, provider, issuer and
//! client: it opens for no other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::CryptoRng;
use serde::Deserialize;
use serde_json::json;
use trunkline_model::{Secret, Timestamp, UserId};
use trunkline_storage::{KeptIdentity, StoreError, VaultError};
use zeroize::Zeroizing;

use super::super::Login;
use super::Issuer;
use super::callback::Proved;
use super::id_token::end_of;

/// What was given at a sign-in, or at a renewal since.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Kept {
    pub(super) id_token: Secret,
    #[serde(default)]
    pub(super) refresh_token: Option<Secret>,
    pub(super) obtained_at: Timestamp,
    pub(super) expires_at: Timestamp,
}

type Turn = Arc<tokio::sync::Mutex<Option<KeptIdentity>>>;

/// Who renews whose identity in this process, and what could not be stored
/// yet: nothing else holds a refresh token that replaced another.
#[derive(Debug)]
pub(in crate::login) struct Renewals {
    /// Names this process among those that share the database.
    pub(super) holder: String,
    turns: Mutex<HashMap<(UserId, String), Turn>>,
}

impl Renewals {
    pub(in crate::login) fn new(random: &mut impl CryptoRng) -> Self {
        let mut bytes = [0; 16];
        random.fill_bytes(&mut bytes);
        Self { holder: URL_SAFE_NO_PAD.encode(bytes), turns: Mutex::default() }
    }

    pub(super) fn turn(&self, user: UserId, provider: &str) -> Turn {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(turns.entry((user, provider.to_owned())).or_default())
    }
}

impl Login {
    /// Keeps what proved a person.
    ///
    /// # Errors
    /// [`StoreError`]: then the sign-in is refused.
    pub(super) async fn keep_identity(
        &self,
        issuer: &Issuer,
        user: UserId,
        proved: &Proved,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let kept = Kept {
            id_token: proved.tokens.id_token.clone(),
            refresh_token: proved.tokens.refresh_token.clone(),
            obtained_at: now,
            expires_at: end_of(&proved.claims).unwrap_or(now),
        };
        let sealed = self.seal_kept(issuer, user, &kept).map_err(|error| no_vault(&error))?;
        let provider = issuer.settings.name.clone();
        let row = KeptIdentity { user, provider, version: now.as_micros(), sealed: Some(sealed) };
        self.store.kept_identities().put(&row, proved.claims.text("sid")).await
    }

    pub(super) fn seal_kept(&self, issuer: &Issuer, user: UserId, kept: &Kept) -> Result<String, VaultError> {
        let text = Zeroizing::new(
            json!({
                "id_token": kept.id_token.expose(),
                "refresh_token": kept.refresh_token.as_ref().map(Secret::expose),
                "obtained_at": kept.obtained_at,
                "expires_at": kept.expires_at,
            })
            .to_string(),
        );
        Ok(self.identity_sealer.seal(&place(issuer, user), text.as_bytes())?.to_string())
    }

    /// What is sealed; none where it is of another issuer or client than the
    /// provider has now, or damaged.
    pub(super) fn open_kept(&self, issuer: &Issuer, user: UserId, sealed: &str) -> Option<Kept> {
        let text = self.identity_sealer.open(&place(issuer, user), &sealed.parse().ok()?).ok()?;
        serde_json::from_slice(&text).ok()
    }
}

fn place(issuer: &Issuer, user: UserId) -> String {
    let settings = &issuer.settings;
    format!("{user}\n{}\n{}\n{}", settings.name, settings.issuer, settings.client_id)
}

fn no_vault(error: &VaultError) -> StoreError {
    StoreError::Damaged { what: "a kept identity", detail: error.to_string() }
}
