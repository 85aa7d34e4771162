//! The text of a journal: a heading, then a line for each row,
//! `payload TAB seq TAB at TAB hash`. A payload is JSON without a raw control
//! character, so that neither tabs nor line ends stand in it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use trunkline_model::Timestamp;
use uuid::Uuid;

use super::Place;
use crate::AuditRow;

const HEADING: &str = "trunkline audit journal 1";

/// The first line of a segment: its chain, and the hash before its first row.
pub(super) fn heading(chain: Uuid, prev_hash: &[u8; 32]) -> String {
    format!("{HEADING}\t{chain}\t{}\n", STANDARD_NO_PAD.encode(prev_hash))
}

/// Reads a heading without its line end.
pub(super) fn read_heading(line: &[u8]) -> Option<(Uuid, [u8; 32])> {
    let rest = std::str::from_utf8(line).ok()?.strip_prefix(HEADING)?.strip_prefix('\t')?;
    let (chain, hash) = rest.split_once('\t')?;
    Some((chain.parse().ok()?, read_hash(hash)?))
}

/// Makes a payload a line.
pub(super) fn finish(payload: &mut Vec<u8>, place: &Place) {
    payload.push(b'\t');
    push_number(payload, place.seq);
    payload.push(b'\t');
    push_number(payload, place.at.as_micros());
    payload.push(b'\t');
    let start = payload.len();
    payload.resize(start + 43, 0);
    // 32 bytes are 43 characters: they fit.
    let _ = STANDARD_NO_PAD.encode_slice(place.hash, payload.get_mut(start..).unwrap_or_default());
    payload.push(b'\n');
}

/// Reads a line without its end; `prev_hash` is the hash of the line before.
pub(super) fn read(chain: Uuid, prev_hash: [u8; 32], line: &[u8]) -> Option<AuditRow> {
    let mut parts = std::str::from_utf8(line).ok()?.rsplitn(4, '\t');
    let hash = read_hash(parts.next()?)?;
    let at = Timestamp::from_micros(parts.next()?.parse().ok()?);
    let seq = parts.next()?.parse().ok()?;
    Some(AuditRow { chain, seq, at, prev_hash, hash, payload: parts.next()?.to_owned() })
}

fn read_hash(text: &str) -> Option<[u8; 32]> {
    STANDARD_NO_PAD.decode(text).ok()?.try_into().ok()
}

fn push_number(line: &mut Vec<u8>, number: i64) {
    use std::io::Write as _;
    // Writing to memory does not fail.
    let _ = write!(line, "{number}");
}
