//! Seals secrets at rest: AES-256-GCM-SIV (RFC 8452) with a random nonce,
//! under a sub key for each purpose that HKDF-SHA256 (RFC 5869) derives from
//! the root key. Losing the root key loses what is sealed.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::faults::Faults;

/// Bytes of the root key and of each sub key.
const KEY_BYTES: usize = 32;
const FORM: &str = "v1";

/// Why a text is not a root key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("it must be 32 random bytes in base64, such as `openssl rand -base64 32` prints")]
pub struct KeyFault;

/// Why something could not be sealed or opened.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum VaultError {
    #[error("the sealed text has not the form v1.KEY.BYTES")]
    Malformed,
    #[error("it was sealed with key {sealed_with}, but this hub holds key {held}")]
    OtherKey { sealed_with: String, held: String },
    /// Tampered with, or sealed for another purpose or another place.
    #[error("the seal is broken, or was made for something else")]
    Broken,
    #[error("the cryptographic library refused to seal")]
    Refused,
}

/// Seals and opens under one root key.
pub struct Vault {
    root: Prk,
    key_id: KeyTag,
    faults: Faults,
}

/// Seals and opens for one purpose; keeps the derived key.
#[derive(Debug)]
pub struct Sealer {
    key: RandomizedNonceKey,
    key_id: KeyTag,
    purpose: Box<str>,
    faults: Faults,
}

/// Something sealed. Its text form, `v1.<key id>.<base64url>`, is what is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    key_id: KeyTag,
    /// Nonce, ciphertext, tag.
    bytes: Vec<u8>,
}

/// The id of a root key: eight bytes derived from it, in hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct KeyTag(u64);

impl Vault {
    /// Takes a root key in the text form of the key file.
    pub(crate) fn from_text(text: &str) -> Result<Self, KeyFault> {
        let text = text.trim().trim_end_matches('=');
        let decoded =
            URL_SAFE_NO_PAD.decode(text).or_else(|_| STANDARD_NO_PAD.decode(text)).map_err(|_| KeyFault)?;
        let key = Zeroizing::new(decoded);
        if key.len() != KEY_BYTES {
            return Err(KeyFault);
        }
        let root = Salt::new(HKDF_SHA256, b"trunkline root key").extract(&key);
        let mut tag = [0; 8];
        derive(&root, "trunkline key id", "", &mut tag).map_err(|_| KeyFault)?;
        Ok(Self { root, key_id: KeyTag(u64::from_be_bytes(tag)), faults: Faults::default() })
    }

    /// The text of a new random root key.
    pub(crate) fn new_key_text() -> Result<Zeroizing<String>, VaultError> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        aws_lc_rs::rand::fill(key.as_mut_slice()).map_err(|_| VaultError::Refused)?;
        Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(key.as_slice())))
    }

    /// From here on it fails where `faults` says so.
    pub(crate) fn failing_with(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Names the root key without telling it.
    pub fn key_id(&self) -> String {
        self.key_id.to_string()
    }

    /// Derives the key of `purpose` once, for a caller that seals or opens often.
    ///
    /// # Errors
    /// [`VaultError::Refused`] when the cryptographic library fails.
    pub fn sealer(&self, purpose: &str) -> Result<Sealer, VaultError> {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        derive(&self.root, "trunkline vault v1|", purpose, key.as_mut_slice())?;
        let key =
            RandomizedNonceKey::new(&AES_256_GCM_SIV, key.as_slice()).map_err(|_| VaultError::Refused)?;
        Ok(Sealer { key, key_id: self.key_id, purpose: purpose.into(), faults: self.faults.clone() })
    }

    /// Seals `plaintext` for `purpose` (such as `upstream-token`), bound to
    /// `associated` (such as the id of the row it is stored in): it opens
    /// with the same two only.
    ///
    /// # Errors
    /// [`VaultError::Refused`] when the cryptographic library fails.
    pub fn seal(&self, purpose: &str, associated: &str, plaintext: &[u8]) -> Result<Sealed, VaultError> {
        self.sealer(purpose)?.seal(associated, plaintext)
    }

    /// Opens what [`Vault::seal`] sealed with the same `purpose` and `associated`.
    ///
    /// # Errors
    /// [`VaultError::OtherKey`] or [`VaultError::Broken`].
    pub fn open(
        &self,
        purpose: &str,
        associated: &str,
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.sealer(purpose)?.open(associated, sealed)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Vault({})", self.key_id)
    }
}

impl Sealer {
    /// Like [`Vault::seal`], for this sealer's purpose.
    ///
    /// # Errors
    /// [`VaultError::Refused`] when the cryptographic library fails.
    pub fn seal(&self, associated: &str, plaintext: &[u8]) -> Result<Sealed, VaultError> {
        self.faults.sealing()?;
        let mut body = plaintext.to_vec();
        let nonce = self
            .key
            .seal_in_place_append_tag(self.aad(associated), &mut body)
            .map_err(|_| VaultError::Refused)?;
        let mut bytes = Vec::with_capacity(NONCE_LEN + body.len());
        bytes.extend_from_slice(nonce.as_ref());
        bytes.extend_from_slice(&body);
        Ok(Sealed { key_id: self.key_id, bytes })
    }

    /// Like [`Vault::open`], for this sealer's purpose.
    ///
    /// # Errors
    /// [`VaultError::OtherKey`] or [`VaultError::Broken`].
    pub fn open(&self, associated: &str, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        self.faults.opening()?;
        if sealed.key_id != self.key_id {
            return Err(VaultError::OtherKey {
                sealed_with: sealed.key_id.to_string(),
                held: self.key_id.to_string(),
            });
        }
        let (nonce, body) = sealed.bytes.split_at_checked(NONCE_LEN).ok_or(VaultError::Broken)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| VaultError::Broken)?;
        let mut body = Zeroizing::new(body.to_vec());
        let length = self
            .key
            .open_in_place(nonce, self.aad(associated), &mut body)
            .map_err(|_| VaultError::Broken)?
            .len();
        body.truncate(length);
        Ok(body)
    }

    /// The purpose has its own key, so the bar need not be escaped.
    fn aad(&self, associated: &str) -> Aad<Vec<u8>> {
        Aad::from([self.purpose.as_bytes(), b"|", associated.as_bytes()].concat())
    }
}

impl fmt::Display for Sealed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{FORM}.{}.{}", self.key_id, URL_SAFE_NO_PAD.encode(&self.bytes))
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Sealed({FORM}.{}.…)", self.key_id)
    }
}

impl FromStr for Sealed {
    type Err = VaultError;

    fn from_str(text: &str) -> Result<Self, VaultError> {
        let mut parts = text.splitn(3, '.');
        let (Some(FORM), Some(key_id), Some(bytes)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(VaultError::Malformed);
        };
        Ok(Self {
            key_id: KeyTag::parse(key_id).ok_or(VaultError::Malformed)?,
            bytes: URL_SAFE_NO_PAD.decode(bytes).map_err(|_| VaultError::Malformed)?,
        })
    }
}

impl KeyTag {
    /// Exactly what `Display` prints: one value has one text.
    fn parse(text: &str) -> Option<Self> {
        let tag = Self(u64::from_str_radix(text, 16).ok()?);
        (tag.to_string() == text).then_some(tag)
    }
}

impl fmt::Display for KeyTag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

/// The wanted length of derived bytes, for HKDF.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

fn derive(root: &Prk, domain: &str, purpose: &str, into: &mut [u8]) -> Result<(), VaultError> {
    let info = [domain.as_bytes(), purpose.as_bytes()];
    root.expand(&info, Length(into.len())).and_then(|okm| okm.fill(into)).map_err(|_| VaultError::Refused)
}
