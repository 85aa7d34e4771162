//! Sealed text: nothing opens but what was sealed, for what it was sealed.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use trunkline_model::{Secret, SystemClock};
use trunkline_storage::{Location, Sealed, Sealer, Store, StoreOptions, VaultKey};

/// 32 bytes in base64: the key is the same in each run, the nonces are not.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const PLAINTEXT: &[u8] = b"a session of somebody";

struct Held {
    sealer: Sealer,
    of_another_purpose: Sealer,
    /// Opens with `sealer` and `ASSOCIATED` alone.
    genuine: String,
}

const ASSOCIATED: &str = "profile";

static HELD: LazyLock<Held> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(hold())
});

async fn hold() -> Held {
    let folder = tempfile::tempdir().expect("a folder");
    let options = StoreOptions {
        location: Location::Sqlite(folder.path().join("trunkline.db")),
        key: VaultKey::Given(Secret::new(KEY)),
    };
    let store = Store::open(options, Arc::new(SystemClock)).await.expect("a store");
    let sealer = store.vault().sealer("session").expect("a sealer");
    let of_another_purpose = store.vault().sealer("request").expect("a sealer");
    store.close().await;
    let genuine = sealer.seal(ASSOCIATED, PLAINTEXT).expect("sealed").to_string();
    Held { sealer, of_another_purpose, genuine }
}

fuzz_target!(|input: &[u8]| {
    if let Ok(text) = std::str::from_utf8(input) {
        opens_only_if_genuine(text);
    }
    opens_only_if_genuine(&altered(input));
    sealed_for(input);
});

fn opens_only_if_genuine(text: &str) {
    let held = &*HELD;
    let Ok(sealed) = text.parse::<Sealed>() else { return };
    assert_eq!(sealed.to_string(), text, "one value has one text");
    match held.sealer.open(ASSOCIATED, &sealed) {
        Ok(plaintext) => assert_eq!((&plaintext[..], text), (PLAINTEXT, held.genuine.as_str())),
        Err(error) => assert!(!error.to_string().contains("session of somebody")),
    }
}

/// The genuine text with changes: each pair of bytes is a place and what stands there then.
fn altered(input: &[u8]) -> String {
    let mut bytes = HELD.genuine.clone().into_bytes();
    for pair in input.chunks_exact(2) {
        let place = usize::from(pair[0]) % (bytes.len() + 1);
        match (bytes.get_mut(place), pair[1]) {
            (Some(byte), new) if new.is_ascii_graphic() => *byte = new,
            (Some(_), _) => bytes.truncate(place),
            (None, _) => bytes.push(b'A'),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What is sealed opens for the same purpose and place, and for no other.
fn sealed_for(input: &[u8]) {
    let held = &*HELD;
    let (associated, plaintext) = input.split_at(input.len() / 2);
    let associated = String::from_utf8_lossy(associated);
    let sealed = held.sealer.seal(&associated, plaintext).expect("sealed");
    let read: Sealed = sealed.to_string().parse().expect("what was written");
    assert_eq!(held.sealer.open(&associated, &read).expect("opened").as_slice(), plaintext);
    assert!(held.of_another_purpose.open(&associated, &read).is_err());
    assert!(held.sealer.open(&format!("{associated}|"), &read).is_err());
}
