use proptest::prelude::*;

use super::KEY;
use crate::vault::Vault;
use crate::{Sealed, VaultError};

fn vault() -> Vault {
    Vault::from_text(KEY).unwrap()
}

#[test]
fn a_key_is_32_bytes_in_either_base64() {
    let other = "//////////////////////////////////////////8=";
    let given = Vault::from_text(other).unwrap();
    assert_eq!(
        given.key_id(),
        Vault::from_text(&format!(" {}\n", other.replace('/', "_"))).unwrap().key_id()
    );
    assert_ne!(given.key_id(), vault().key_id());
    for bad in ["", "hunter2", &KEY[1..], &format!("{KEY}AAAA"), "-----BEGIN PRIVATE KEY-----"] {
        assert!(Vault::from_text(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_new_key_is_random() {
    let (one, two) = (Vault::new_key_text().unwrap(), Vault::new_key_text().unwrap());
    assert_ne!(one.as_str(), two.as_str());
    assert!(Vault::from_text(&one).is_ok());
}

#[test]
fn another_key_is_named() {
    let sealed = vault().seal("token", "row 1", b"secret").unwrap();
    let other = Vault::from_text(&Vault::new_key_text().unwrap()).unwrap();
    let error = other.open("token", "row 1", &sealed).unwrap_err();
    assert_eq!(error, VaultError::OtherKey { sealed_with: vault().key_id(), held: other.key_id() });
}

#[test]
fn sealing_twice_gives_two_texts() {
    let text = || vault().seal("token", "row 1", b"secret").unwrap().to_string();
    assert_ne!(text(), text());
}

#[test]
fn what_is_not_sealed_text_is_refused() {
    let key_id = vault().key_id();
    let bad = [
        String::new(),
        "v1".to_owned(),
        format!("v2.{key_id}.AAAA"),
        format!("v1.{}.AAAA", key_id.to_uppercase() + "0"),
        format!("v1.{key_id}.!"),
        format!("v1.{key_id}.AAAA.AAAA"),
    ];
    for text in bad {
        assert_eq!(text.parse::<Sealed>(), Err(VaultError::Malformed), "{text}");
    }
    let short: Sealed = format!("v1.{key_id}.AAAA").parse().unwrap();
    assert_eq!(vault().open("token", "", &short), Err(VaultError::Broken));
}

proptest! {
    #[test]
    fn it_opens_with_the_same_purpose_and_place_only(
        plaintext in prop::collection::vec(any::<u8>(), 0..200),
        purpose in "[a-z|]{1,8}", place in "[a-z|]{0,8}",
        other_purpose in "[a-z|]{1,8}", other_place in "[a-z|]{0,8}",
    ) {
        let sealed: Sealed = vault().seal(&purpose, &place, &plaintext).unwrap().to_string().parse().unwrap();
        let opened = vault().open(&purpose, &place, &sealed).unwrap();
        prop_assert_eq!(opened.as_slice(), plaintext.as_slice());
        if (&purpose, &place) != (&other_purpose, &other_place) {
            prop_assert_eq!(vault().open(&other_purpose, &other_place, &sealed), Err(VaultError::Broken));
        }
    }

    #[test]
    fn any_other_text_does_not_open(
        plaintext in prop::collection::vec(any::<u8>(), 0..60), place in any::<prop::sample::Index>(), bit in 0..7,
    ) {
        let text = vault().seal("token", "row", &plaintext).unwrap().to_string();
        let mut bytes = text.clone().into_bytes();
        bytes[place.index(text.len())] ^= 1u8 << bit;
        let tampered = String::from_utf8(bytes).unwrap();
        let opened = tampered.parse::<Sealed>().and_then(|sealed| vault().open("token", "row", &sealed));
        prop_assert!(opened.is_err(), "{} opened", tampered);
    }
}
