//! Local passwords: Argon2id (RFC 9106) in PHC form.

use std::sync::Arc;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher as _, PasswordVerifier as _};
use rand::CryptoRng;
use thiserror::Error;
use tokio::sync::Semaphore;
use trunkline_model::Secret;

/// Characters of a password.
const SHORTEST: usize = 12;
const LONGEST: usize = 500;
const SALT_LENGTH: usize = 16;
/// Each check takes 19 MiB of memory and a core.
const AT_ONCE: usize = 2;

/// Why a text will not do as a password. The words are for who chose it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub(crate) enum PasswordFault {
    #[error("A password has at least {SHORTEST} characters.")]
    TooShort,
    #[error("A password has at most {LONGEST} characters.")]
    TooLong,
    #[error("The two passwords differ.")]
    Differ,
    #[error("The password cannot be taken now. Try again.")]
    Unavailable,
}

/// Hashes and checks passwords, a few at a time.
#[derive(Debug)]
pub(crate) struct Passwords {
    places: Arc<Semaphore>,
    /// How often the arithmetic has been done.
    #[cfg(test)]
    worked: std::sync::atomic::AtomicUsize,
}

/// What a password is held against where there is none, so that unknown
/// logins take as long as wrong passwords. Nothing hashes to it.
const DECOY: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5J3MgcGFzc3dkIQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

impl Passwords {
    pub(crate) fn new() -> Self {
        Self {
            places: Arc::new(Semaphore::new(AT_ONCE)),
            #[cfg(test)]
            worked: std::sync::atomic::AtomicUsize::new(0),
        }
    }

    /// The hash of a password that somebody chose and typed twice.
    pub(crate) async fn chosen(&self, first: &str, again: &str) -> Result<String, PasswordFault> {
        let length = first.chars().count();
        if length < SHORTEST {
            return Err(PasswordFault::TooShort);
        }
        if length > LONGEST {
            return Err(PasswordFault::TooLong);
        }
        if first != again {
            return Err(PasswordFault::Differ);
        }
        let password = Secret::new(first);
        self.apart(move || hash(password.expose(), &mut rand::rng()))
            .await
            .ok_or(PasswordFault::Unavailable)?
    }

    /// Whether the password belongs to the hash; without a hash it never
    /// does, and that takes as long.
    pub(crate) async fn is_right(&self, password: &str, hash: Option<String>) -> bool {
        let has_password = hash.is_some();
        let hash = hash.unwrap_or_else(|| DECOY.to_owned());
        let password = Secret::new(password.chars().take(LONGEST).collect::<String>());
        let is_right = self.apart(move || verify(password.expose(), &hash)).await;
        has_password && is_right == Some(true)
    }

    #[cfg(test)]
    pub(super) fn worked(&self) -> usize {
        self.worked.load(std::sync::atomic::Ordering::SeqCst)
    }

    /// Runs the arithmetic on a thread where it holds nobody up.
    async fn apart<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let place = Arc::clone(&self.places).acquire_owned().await.ok()?;
        #[cfg(test)]
        self.worked.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        tokio::task::spawn_blocking(move || {
            let result = work();
            drop(place);
            result
        })
        .await
        .ok()
    }
}

fn hash(password: &str, random: &mut impl CryptoRng) -> Result<String, PasswordFault> {
    let mut salt = [0; SALT_LENGTH];
    random.fill_bytes(&mut salt);
    let hash: PasswordHash = Argon2::default()
        .hash_password_with_salt(password.as_bytes(), &salt)
        .map_err(|_| PasswordFault::Unavailable)?;
    Ok(hash.to_string())
}

fn verify(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_kept_as_argon2id_and_only_it_is_right() {
        let passwords = Passwords::new();
        let hash = passwords.chosen("correct horse", "correct horse").await.expect("taken");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(!hash.contains("horse"));
        let decoy = PasswordHash::new(DECOY).expect("a hash");
        let real = PasswordHash::new(&hash).expect("a hash");
        assert_eq!(
            (decoy.algorithm, decoy.version, &decoy.params),
            (real.algorithm, real.version, &real.params)
        );
        let lengths =
            |hash: &PasswordHash| (hash.salt.map(|salt| salt.len()), hash.hash.map(|hash| hash.len()));
        assert_eq!(lengths(&decoy), lengths(&real), "it costs as much");
        assert!(passwords.is_right("correct horse", Some(hash.clone())).await);
        assert!(!passwords.is_right("correct horse ", Some(hash)).await);
        assert!(!passwords.is_right("nobody's password", None).await, "the decoy lets nobody in");
        assert!(!passwords.is_right("x", Some("junk".to_owned())).await);
    }

    #[tokio::test]
    async fn a_password_that_is_short_or_mistyped_is_not_taken() {
        let passwords = Passwords::new();
        assert_eq!(passwords.chosen("short", "short").await, Err(PasswordFault::TooShort));
        assert_eq!(passwords.chosen("correct horse", "correct house").await, Err(PasswordFault::Differ));
        let long = "x".repeat(501);
        assert_eq!(passwords.chosen(&long, &long).await, Err(PasswordFault::TooLong));
    }
}
