//! The form of our opaque credentials: a prefix that says which kind it is
//! (`tlk_` for API keys), 256 random bits in base 62, and a checksum.
//!
//! The checksum lets a wrong paste, and the junk that scanners send, be told
//! from a credential without looking anything up, and lets secret scanners
//! find a leaked one without false alarms.

use std::time::Duration;

use aws_lc_rs::digest;
use rand::CryptoRng;
use trunkline_model::{ApiKey, KeyId, KeyOwner, ProfileName, Secret, Timestamp, TokenHash};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 62 to the 43rd is just above 2 to the 256th.
const RANDOM_LENGTH: usize = 43;
/// 62 to the 6th is above 2 to the 32nd.
const CHECKSUM_LENGTH: usize = 6;
/// Characters of a prefix.
const PREFIX_LENGTH: usize = 4;
/// Characters of a whole credential.
const LENGTH: usize = PREFIX_LENGTH + RANDOM_LENGTH + CHECKSUM_LENGTH;
/// Characters of a key that are kept, so that a person can tell keys apart.
/// They tell 47 of the 256 bits.
const HINT_LENGTH: usize = 12;

/// A new key, and what is stored of it.
#[derive(Debug, Clone)]
pub struct Minted {
    /// Shown once.
    pub key: Secret,
    pub hash: TokenHash,
    /// The key's first 12 characters.
    pub hint: String,
}

/// A kind of credential: one prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Form {
    prefix: &'static str,
}

impl Form {
    /// An API key.
    pub const KEY: Self = Self::new("tlk_");
    /// The cookie of a browser session.
    pub const SESSION: Self = Self::new("tls_");
    /// A link that signs somebody in, once.
    pub const LINK: Self = Self::new("tll_");
    /// An authorization code.
    pub const CODE: Self = Self::new("tla_");
    /// A refresh token.
    pub const REFRESH: Self = Self::new("tlr_");
    /// The secret of an OAuth client.
    pub const CLIENT_SECRET: Self = Self::new("tlc_");
    /// A token that reads and changes the registration of an OAuth client.
    pub const REGISTRATION: Self = Self::new("tlg_");
    /// A device code.
    pub const DEVICE: Self = Self::new("tld_");

    /// What ties a form to its browser.
    pub const FORM: Self = Self::new("tlf_");
    /// What a directory that provisions users proves itself with.
    pub const DIRECTORY: Self = Self::new("tlp_");

    const fn new(prefix: &'static str) -> Self {
        assert!(prefix.len() == PREFIX_LENGTH, "a prefix has four characters");
        Self { prefix }
    }

    /// Makes one from 256 bits of `random`.
    pub fn mint(self, random: &mut impl CryptoRng) -> Minted {
        let mut bits = [0; 32];
        random.fill_bytes(&mut bits);
        let mut key = String::with_capacity(LENGTH);
        key.push_str(self.prefix);
        push_base62(&mut key, bits, RANDOM_LENGTH);
        let checksum = checksum(&key);
        key.extend(checksum.map(char::from));
        Minted { hash: hash(&key), hint: key[..HINT_LENGTH].to_owned(), key: Secret::new(key) }
    }

    /// The hash of `text`; none when it does not have this form.
    pub fn hash_if_well_formed(self, text: &str) -> Option<TokenHash> {
        let bytes = text.as_bytes();
        if bytes.len() != LENGTH || !text.starts_with(self.prefix) || !bytes.is_ascii() {
            return None;
        }
        let (signed, checksum) = text.split_at(LENGTH - CHECKSUM_LENGTH);
        if !signed[PREFIX_LENGTH..].bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return None;
        }
        (self::checksum(signed) == checksum.as_bytes()).then(|| hash(text))
    }
}

/// Makes an API key from 256 bits of `random`.
pub fn mint(random: &mut impl CryptoRng) -> Minted {
    Form::KEY.mint(random)
}

/// What key is wanted.
#[derive(Debug, Clone)]
pub struct NewKey {
    pub profile: ProfileName,
    pub name: String,
    pub owner: Option<KeyOwner>,
    /// How long it is good; for ever when none.
    pub lifetime: Option<Duration>,
}

impl NewKey {
    /// The key to store, and its secret, to be shown once.
    pub fn make(self, random: &mut impl CryptoRng, now: Timestamp) -> (ApiKey, Secret) {
        let (minted, id) = (mint(random), mint_id(random, now));
        let key = ApiKey {
            id,
            name: self.name,
            hash: minted.hash,
            hint: minted.hint,
            profile: self.profile,
            owner: self.owner,
            created_at: now,
            expires_at: self.lifetime.map(|lifetime| now.plus(lifetime)),
            revoked_at: None,
            last_used_at: None,
            previous: None,
        };
        (key, minted.key)
    }
}

/// A new id for a key: a UUID of version 7.
pub fn mint_id(random: &mut impl CryptoRng, now: Timestamp) -> KeyId {
    let mut bytes = [0; 10];
    random.fill_bytes(&mut bytes);
    KeyId::new(bytes, now)
}

/// The hash of `text`; none when it does not have the form of an API key.
pub fn hash_if_well_formed(text: &str) -> Option<TokenHash> {
    Form::KEY.hash_if_well_formed(text)
}

pub(crate) fn hash(key: &str) -> TokenHash {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(digest::digest(&digest::SHA256, key.as_bytes()).as_ref());
    TokenHash(bytes)
}

/// The CRC-32 of `signed` as six digits.
fn checksum(signed: &str) -> [u8; CHECKSUM_LENGTH] {
    let mut number = crc32(signed.as_bytes());
    let mut digits = [0; CHECKSUM_LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(number % 62) as usize];
        number /= 62;
    }
    digits
}

/// Appends the big-endian `number` as `length` digits, the highest first.
fn push_base62(out: &mut String, mut number: [u8; 32], length: usize) {
    let start = out.len();
    for _ in 0..length {
        let digit = divide_by_62(&mut number);
        out.insert(start, char::from(ALPHABET[digit]));
    }
}

/// Divides in place and returns the remainder.
fn divide_by_62(number: &mut [u8; 32]) -> usize {
    let mut remainder = 0;
    for byte in number {
        let value = remainder * 256 + usize::from(*byte);
        *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
        remainder = value % 62;
    }
    remainder
}

/// CRC-32 as in ISO 3309 and gzip; each request computes it.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| (crc >> 8) ^ CRC_TABLE[usize::from(crc.to_le_bytes()[0] ^ byte)])
}

const CRC_TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte: u32 = 0;
    while byte < 256 {
        let mut crc = byte;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (0xEDB8_8320 * (crc & 1));
            bit += 1;
        }
        table[byte as usize] = crc;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    fn minted(seed: u64) -> Minted {
        mint(&mut StdRng::seed_from_u64(seed))
    }

    #[test]
    fn the_checksum_is_the_crc_32_that_everybody_has() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn all_256_bits_are_in_the_key() {
        let digits = |bits| {
            let mut text = String::new();
            push_base62(&mut text, bits, RANDOM_LENGTH);
            text
        };
        assert_eq!(digits([0; 32]), "0".repeat(43));
        let mut one = [0; 32];
        one[31] = 61;
        assert_eq!(digits(one), format!("{}z", "0".repeat(42)));
        // 2^256 - 1; the highest digit is not zero, so no shorter text would do.
        assert!(!digits([0xFF; 32]).starts_with('0'));
    }

    #[test]
    fn a_new_key_has_its_form_hash_and_hint() {
        let new = minted(1);
        let key = new.key.expose();
        assert_eq!((key.len(), &key[..4]), (53, "tlk_"));
        assert_eq!(new.hint, key[..12]);
        assert_eq!(hash_if_well_formed(key), Some(new.hash));
        assert_ne!(minted(2).hash, new.hash);
        let id = mint_id(&mut StdRng::seed_from_u64(1), Timestamp::from_micros(1_700_000_000_000_000));
        assert_eq!(id.as_uuid().get_version_num(), 7);
    }

    proptest! {
        #[test]
        fn a_changed_character_is_noticed(seed: u64, at in 0_usize..53, to in "[ -~é]") {
            let key = minted(seed).key.expose().to_owned();
            let changed = format!("{}{}{}", &key[..at], to, &key[at + 1..]);
            prop_assert_eq!(hash_if_well_formed(&changed).is_some(), changed == key);
        }

        #[test]
        fn junk_is_not_a_key(text in "(tlk_)?.{0,60}") {
            prop_assert_eq!(hash_if_well_formed(&text), None);
        }
    }
}
