use std::path::{Path, PathBuf};

use tempfile::TempDir;
use trunkline_model::Timestamp;
use uuid::Uuid;

use super::{on_both, sqlite_in, store_at};
use crate::{AuditRow, Journal, JournalReader, Place, Recovered, Store, recover};

const CHAIN: Uuid = Uuid::from_u128(7);

fn row(seq: i64) -> AuditRow {
    let mark = |seq: i64| [u8::try_from(seq % 250).unwrap(); 32];
    AuditRow {
        chain: CHAIN,
        seq,
        at: Timestamp::from_micros(seq * 10),
        prev_hash: mark(seq - 1),
        hash: mark(seq),
        payload: format!("{{\"seq\":{seq},\"text\":\"ä\\t\\n{}\"}}", "x".repeat(100)),
    }
}

fn rows(numbers: std::ops::RangeInclusive<i64>) -> Vec<AuditRow> {
    numbers.map(row).collect()
}

fn append(journal: &mut Journal, numbers: std::ops::RangeInclusive<i64>) {
    for row in numbers.map(row) {
        let place = Place { seq: row.seq, at: row.at, prev_hash: row.prev_hash, hash: row.hash };
        journal.append(&mut row.payload.into_bytes(), place).unwrap();
    }
}

/// Everything there is to read, which is then forgotten.
fn drain(reader: &mut JournalReader) -> Vec<AuditRow> {
    let mut all = Vec::new();
    while let Some(batch) = reader.peek().unwrap() {
        reader.forget(&batch);
        all.extend(batch.rows);
    }
    all
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

async fn stored(store: &Store) -> Vec<AuditRow> {
    store.audit().page(CHAIN, 0, 100_000).await.unwrap()
}

/// A process that ends without a word: its files are no longer locked.
fn kill(ends: (Journal, JournalReader)) {
    drop(ends);
}

#[test]
fn rows_are_read_as_they_were_appended_and_again_until_they_are_forgotten() {
    let directory = TempDir::new().unwrap();
    let (mut journal, mut reader) = Journal::create(directory.path(), CHAIN).unwrap();
    assert!(reader.peek().unwrap().is_none());
    assert_eq!(files(directory.path()), Vec::<PathBuf>::new(), "no file before the first row");
    append(&mut journal, 1..=3);
    assert_eq!(reader.peek().unwrap().unwrap().rows, rows(1..=3));
    append(&mut journal, 4..=5);
    assert_eq!(drain(&mut reader), rows(1..=5));
    append(&mut journal, 6..=6);
    assert_eq!(drain(&mut reader), rows(6..=6));
    reader.remove();
    assert_eq!(files(directory.path()), Vec::<PathBuf>::new());
}

#[test]
fn a_full_file_goes_once_it_has_been_read() {
    let directory = TempDir::new().unwrap();
    let (mut journal, mut reader) = Journal::create(directory.path(), CHAIN).unwrap();
    // More than two files full, in rows of some 200 bytes.
    append(&mut journal, 1..=50_000);
    assert!(files(directory.path()).len() > 2);
    assert_eq!(drain(&mut reader).len(), 50_000);
    assert_eq!(files(directory.path()).len(), 1, "the one appended to");
    append(&mut journal, 50_001..=50_001);
    assert_eq!(drain(&mut reader), rows(50_001..=50_001));
}

#[tokio::test]
async fn what_a_killed_process_left_is_brought_in_once() {
    on_both(async |location| {
        let store = store_at(location).await;
        let directory = TempDir::new().unwrap();
        let (mut journal, reader) = Journal::create(directory.path(), CHAIN).unwrap();
        append(&mut journal, 1..=40_000);
        // Some of it was moved before the process was killed.
        store.audit().append(&rows(1..=100)).await.unwrap();
        let nothing = Recovered::default();
        assert_eq!(recover(&store, directory.path()).await.unwrap(), nothing, "its process lives");
        kill((journal, reader));
        let expected = Recovered { events: 39_900, damaged: 0 };
        assert_eq!(recover(&store, directory.path()).await.unwrap(), expected);
        assert_eq!(stored(&store).await, rows(1..=40_000));
        assert_eq!(files(directory.path()), Vec::<PathBuf>::new());
        assert_eq!(recover(&store, directory.path()).await.unwrap(), nothing);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_directory_that_is_not_there_has_nothing_to_bring_in() {
    let directory = TempDir::new().unwrap();
    let store = store_at(sqlite_in(directory.path())).await;
    assert_eq!(recover(&store, &directory.path().join("none")).await.unwrap(), Recovered::default());
}

/// A file of three rows whose text `change` has changed, brought in.
async fn recovered_after(change: impl FnOnce(&mut Vec<u8>)) -> (Recovered, Vec<AuditRow>, Vec<PathBuf>) {
    let directory = TempDir::new().unwrap();
    let journals = directory.path().join("journal");
    let store = store_at(sqlite_in(directory.path())).await;
    let (mut journal, reader) = Journal::create(&journals, CHAIN).unwrap();
    append(&mut journal, 1..=3);
    kill((journal, reader));
    let path = files(&journals).remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    change(&mut bytes);
    std::fs::write(&path, bytes).unwrap();
    let recovered = recover(&store, &journals).await.unwrap();
    let left = files(&journals);
    (recovered, stored(&store).await, left)
}

#[tokio::test]
async fn a_line_that_was_cut_short_is_of_an_event_that_was_not_answered() {
    for cut in [1, 30, 120] {
        let (recovered, rows_there, left) = recovered_after(|bytes| bytes.truncate(bytes.len() - cut)).await;
        assert_eq!(recovered, Recovered { events: 2, damaged: 0 }, "{cut} bytes less");
        assert_eq!((rows_there, left), (rows(1..=2), Vec::new()));
    }
    let (recovered, _, left) = recovered_after(|bytes| bytes.truncate(20)).await;
    assert_eq!((recovered, left), (Recovered::default(), Vec::new()), "not even its heading");
}

#[tokio::test]
async fn a_damaged_file_is_set_aside_and_what_stands_before_the_damage_counts() {
    let (recovered, rows_there, left) = recovered_after(|bytes| {
        let lines: Vec<usize> =
            bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at).collect();
        bytes[lines[1] + 1..lines[2]].fill(0);
    })
    .await;
    assert_eq!(recovered, Recovered { events: 1, damaged: 1 });
    assert_eq!(rows_there, rows(1..=1));
    assert!(left[0].extension().is_some_and(|extension| extension == "damaged"), "{left:?}");
}

#[test]
fn what_could_not_be_appended_can_be_appended_later() {
    let directory = TempDir::new().unwrap();
    let journals = directory.path().join("journal");
    let (mut journal, mut reader) = Journal::create(&journals, CHAIN).unwrap();
    std::fs::remove_dir(&journals).unwrap();
    let first = row(1);
    let place = Place { seq: 1, at: first.at, prev_hash: first.prev_hash, hash: first.hash };
    assert!(journal.append(&mut first.payload.into_bytes(), place).is_err());
    assert!(reader.peek().unwrap().is_none());
    std::fs::create_dir(&journals).unwrap();
    append(&mut journal, 1..=2);
    assert_eq!(drain(&mut reader), rows(1..=2));
}
