//! Server-sent events: the pieces in which bytes arrive change nothing.

#![no_main]

use std::time::Duration;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use trunkline_web::sse::{Event, Reader, event};

/// Beyond the first bytes, a cut is like one before.
const LONGEST: usize = 256;

/// What a client of the reader can see of a stream.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    events: Vec<Event>,
    refused: bool,
    last_event_id: Option<String>,
    retry: Option<Duration>,
}

fuzz_target!(|input: &[u8]| {
    // The first byte is the size of the largest event.
    let Some((&limit, stream)) = input.split_first() else { return };
    let limit = usize::from(limit);
    let stream = &stream[..stream.len().min(LONGEST)];

    let whole = read(limit, &[stream]);
    for at in 0..=stream.len() {
        let (before, after) = stream.split_at(at);
        assert_eq!(read(limit, &[before, after]), whole, "cut at {at}");
    }
    let single: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(read(limit, &single), whole, "cut everywhere");

    assert!(whole.events.iter().all(|event| event.data.len() <= limit));
    whole.events.iter().for_each(written_again);
});

fn read(limit: usize, pieces: &[&[u8]]) -> Seen {
    let mut copied = Reader::new(limit);
    let mut sliced = Reader::new(limit);
    let mut events: Vec<Event> = Vec::new();
    let mut refused = false;
    for piece in pieces {
        let result = copied.push(piece);
        assert_eq!(result, sliced.push_bytes(Bytes::copy_from_slice(piece)));
        refused |= result.is_err();
        assert!(result.is_err() || copied.pending_len() <= limit);
        let new: Vec<Event> = copied.by_ref().collect();
        assert_eq!(new, sliced.by_ref().collect::<Vec<_>>());
        events.extend(new);
    }
    Seen { events, refused, last_event_id: copied.last_event_id().map(str::to_owned), retry: copied.retry() }
}

/// What the hub writes of an event, it reads as that event. A name is written without NUL.
fn written_again(seen: &Event) {
    let name = seen.event.as_ref().map(|name| name.replace('\0', "")).filter(|name| !name.is_empty());
    let bytes = event(seen.event.as_deref(), seen.id.as_deref(), &seen.data);
    let mut reader = Reader::new(bytes.len());
    reader.push_bytes(bytes).expect("within the limit");
    let again = reader.next().expect("one event");
    assert_eq!((&again.event, &again.data, &again.id), (&name, &seen.data, &seen.id));
    assert_eq!(reader.next(), None);
}
