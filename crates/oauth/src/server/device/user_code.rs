//! The code that a person types.

use rand::{CryptoRng, RngExt as _};
use trunkline_model::TokenHash;

use crate::keys;

/// Consonants that are not taken for one another, and make no words (RFC 8628
/// section 6.1).
const LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// 34 bits.
const LENGTH: usize = 8;

/// A new code, as it is shown: `BCDF-GHJK`.
pub(super) fn mint(random: &mut impl CryptoRng) -> String {
    let mut code = String::with_capacity(LENGTH + 1);
    for place in 0..LENGTH {
        if place == LENGTH / 2 {
            code.push('-');
        }
        code.push(char::from(LETTERS[random.random_range(0..LETTERS.len())]));
    }
    code
}

/// The hash of a code, however it was typed; none when it cannot be one.
pub(super) fn hash(typed: &str) -> Option<TokenHash> {
    let letters: String =
        typed.chars().filter(|c| !c.is_whitespace() && *c != '-').map(|c| c.to_ascii_uppercase()).collect();
    let is_code = letters.len() == LENGTH && letters.bytes().all(|byte| LETTERS.contains(&byte));
    is_code.then(|| keys::hash(&format!("user code {letters}")))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn a_code_is_found_however_it_is_typed() {
        let code = mint(&mut StdRng::seed_from_u64(1));
        assert_eq!(code.len(), 9);
        let typed = code.to_lowercase().replace('-', " ");
        assert!(hash(&code).is_some() && hash(&code) == hash(&typed));
        assert_ne!(hash(&code), hash(&mint(&mut StdRng::seed_from_u64(2))));
        for bad in ["", "AAAA-AAAA", "BCDF-GHJ", "BCDF-GHJKL", "БCDF-GHJK"] {
            assert_eq!(hash(bad), None, "{bad}");
        }
    }
}
