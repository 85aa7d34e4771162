//! Proof key for code exchange (RFC 7636), with S256 alone.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq as _;

/// Whether a text can be an S256 challenge: the base64url of 32 bytes.
pub(super) fn is_challenge(text: &str) -> bool {
    URL_SAFE_NO_PAD.decode(text).is_ok_and(|bytes| bytes.len() == 32)
}

/// Whether `verifier` is what `challenge` was made of (RFC 7636 section 4.6).
pub(super) fn matches(challenge: &str, verifier: &str) -> bool {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    if !(43..=128).contains(&verifier.len()) || !verifier.bytes().all(legal) {
        return false;
    }
    let made = URL_SAFE_NO_PAD.encode(digest(&SHA256, verifier.as_bytes()));
    made.as_bytes().ct_eq(challenge.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7636 appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn a_verifier_proves_its_challenge_and_no_other() {
        assert!(is_challenge(CHALLENGE) && matches(CHALLENGE, VERIFIER));
        for wrong in ["", CHALLENGE, &VERIFIER[1..], &VERIFIER.replace('d', "e"), &"a".repeat(129)] {
            assert!(!matches(CHALLENGE, wrong), "{wrong}");
        }
        assert!(!matches(VERIFIER, VERIFIER), "plain is not supported");
    }

    #[test]
    fn a_challenge_has_the_form_of_a_hash() {
        for wrong in
            ["", "abc", VERIFIER.trim_end_matches('k'), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM="]
        {
            assert!(!is_challenge(wrong), "{wrong}");
        }
    }
}
