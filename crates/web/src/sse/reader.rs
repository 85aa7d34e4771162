//! Bytes as they arrive become events.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use memchr::{memchr, memchr2};
use thiserror::Error;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// One dispatched event. Its fields are those of its own block: the last
/// event id that the specification carries over is [`Reader::last_event_id`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The `event` field; `None` means the default type, `message`.
    pub event: Option<String>,
    /// The `data` lines, joined by `\n`, as sent: not checked to be UTF-8.
    pub data: Bytes,
    /// The `id` field of this event.
    pub id: Option<String>,
    /// The `retry` field of this event.
    pub retry: Option<Duration>,
}

/// An event has more bytes than the reader was told to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an event of the stream is larger than {limit} bytes")]
pub struct TooLarge {
    pub limit: usize,
}

/// An incremental reader. Give it bytes in any pieces with [`push`](Self::push),
/// then take events with [`next`](Iterator::next) until there is none. What
/// has not been ended by a blank line when the stream ends is dropped, as the
/// specification asks.
#[derive(Debug)]
pub struct Reader {
    limit: usize,
    /// The block that is not complete yet.
    pending: BytesMut,
    scanner: Scanner,
    ready: VecDeque<Event>,
    first_block: bool,
    last_event_id: Option<String>,
    retry: Option<Duration>,
    failed: Option<TooLarge>,
}

impl Reader {
    /// A reader that refuses an event of more than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            pending: BytesMut::new(),
            scanner: Scanner::default(),
            ready: VecDeque::new(),
            first_block: true,
            last_event_id: None,
            retry: None,
            failed: None,
        }
    }

    /// Takes the next bytes of the stream, copying them.
    ///
    /// # Errors
    /// As [`push_bytes`](Self::push_bytes).
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), TooLarge> {
        if self.pending.is_empty() {
            self.push_bytes(Bytes::copy_from_slice(bytes))
        } else {
            self.push_behind_pending(bytes)
        }
    }

    /// Takes the next bytes of the stream; a one-line event that lies wholly
    /// in `chunk` is a slice of it.
    ///
    /// # Errors
    /// [`TooLarge`] now and ever after, once an event exceeds the limit; the
    /// events before it can still be taken.
    pub fn push_bytes(&mut self, mut chunk: Bytes) -> Result<(), TooLarge> {
        if !self.pending.is_empty() {
            return self.push_behind_pending(&chunk);
        }
        self.check()?;
        while let Some(end) = self.scanner.find_end(&chunk) {
            let block = chunk.split_to(end.next);
            self.take_block(&block.slice(..end.block))?;
        }
        self.pending.extend_from_slice(&chunk);
        self.check_pending()
    }

    fn push_behind_pending(&mut self, bytes: &[u8]) -> Result<(), TooLarge> {
        self.check()?;
        self.pending.extend_from_slice(bytes);
        while let Some(end) = self.scanner.find_end(&self.pending) {
            let block = self.pending.split_to(end.next).freeze();
            self.take_block(&block.slice(..end.block))?;
        }
        self.check_pending()
    }

    /// The last `id` field seen, which a client sends as `Last-Event-ID`.
    pub fn last_event_id(&self) -> Option<&str> {
        self.last_event_id.as_deref()
    }

    /// The last `retry` field seen: how long to wait before reconnecting.
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// How many bytes wait for the rest of their event.
    pub fn pending_len(&self) -> usize {
        self.pending.len()
    }

    fn check(&self) -> Result<(), TooLarge> {
        self.failed.map_or(Ok(()), Err)
    }

    fn check_pending(&mut self) -> Result<(), TooLarge> {
        if self.pending.len() > self.limit { Err(self.fail()) } else { Ok(()) }
    }

    fn fail(&mut self) -> TooLarge {
        let error = TooLarge { limit: self.limit };
        self.failed = Some(error);
        self.pending = BytesMut::new();
        error
    }

    fn take_block(&mut self, block: &Bytes) -> Result<(), TooLarge> {
        if block.len() > self.limit {
            return Err(self.fail());
        }
        let after_mark =
            if std::mem::take(&mut self.first_block) && block.starts_with(BYTE_ORDER_MARK) { 3 } else { 0 };
        let fields = Fields::of(&block.slice(after_mark..));
        if let Some(id) = &fields.id {
            self.last_event_id = Some(id.clone());
        }
        if let Some(retry) = fields.retry {
            self.retry = Some(retry);
        }
        if let Some(event) = fields.into_event() {
            self.ready.push_back(event);
        }
        Ok(())
    }
}

impl Iterator for Reader {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.ready.pop_front()
    }
}

/// Finds the blank line that ends a block, and remembers how far it looked.
#[derive(Debug, Default)]
struct Scanner {
    /// Bytes of the current block already looked at.
    scanned: usize,
    /// Where the current line starts.
    line_start: usize,
    /// The byte before `scanned` was a CR: an LF here belongs to it.
    after_cr: bool,
}

/// Where a block ends.
struct End {
    /// The block's length without its blank line.
    block: usize,
    /// Where the next block starts.
    next: usize,
}

impl Scanner {
    fn find_end(&mut self, buffer: &[u8]) -> Option<End> {
        loop {
            if self.after_cr
                && let Some(byte) = buffer.get(self.scanned)
            {
                self.after_cr = false;
                if *byte == b'\n' {
                    self.scanned += 1;
                    self.line_start = self.scanned;
                }
            }
            let Some(distance) = memchr2(b'\r', b'\n', buffer.get(self.scanned..)?) else {
                self.scanned = buffer.len();
                return None;
            };
            let terminator = self.scanned + distance;
            let blank = terminator == self.line_start;
            self.after_cr = buffer.get(terminator) == Some(&b'\r');
            self.scanned = terminator + 1;
            self.line_start = self.scanned;
            if blank {
                self.scanned = 0;
                self.line_start = 0;
                return Some(End { block: terminator, next: terminator + 1 });
            }
        }
    }
}

/// The fields of one block.
#[derive(Default)]
struct Fields {
    event: Option<String>,
    data: Data,
    id: Option<String>,
    retry: Option<Duration>,
}

/// One `data` line is a slice of what arrived; several are joined.
#[derive(Default)]
enum Data {
    #[default]
    None,
    One(Bytes),
    Joined(BytesMut),
}

impl Fields {
    fn of(block: &Bytes) -> Self {
        let mut fields = Self::default();
        let mut start = 0;
        while start < block.len() {
            let rest = &block[start..];
            let length = memchr2(b'\r', b'\n', rest).unwrap_or(rest.len());
            fields.take_line(block, start, start + length);
            start += length + 1;
        }
        fields
    }

    /// WHATWG HTML section 9.2.6, "process the field".
    fn take_line(&mut self, block: &Bytes, start: usize, end: usize) {
        let line = &block[start..end];
        let name_length = memchr(b':', line).unwrap_or(line.len());
        let mut value_start = (start + name_length + 1).min(end);
        if block.get(value_start) == Some(&b' ') && value_start < end {
            value_start += 1;
        }
        let value = &block[value_start..end];
        match &line[..name_length] {
            b"data" => self.data.add(block.slice(value_start..end)),
            b"event" => self.event = Some(String::from_utf8_lossy(value).into_owned()),
            b"id" if memchr(0, value).is_none() => {
                self.id = Some(String::from_utf8_lossy(value).into_owned());
            }
            b"retry" => self.retry = milliseconds(value).or(self.retry),
            // A comment, an empty line after a byte order mark, or a field that nobody knows.
            _ => {}
        }
    }

    /// None when the block had no data: such a block dispatches nothing.
    fn into_event(self) -> Option<Event> {
        let data = self.data.into_bytes()?;
        Some(Event {
            event: self.event.filter(|name| !name.is_empty()),
            data,
            id: self.id,
            retry: self.retry,
        })
    }
}

impl Data {
    fn add(&mut self, line: Bytes) {
        *self = match std::mem::take(self) {
            Self::None => Self::One(line),
            Self::One(first) => {
                let mut joined = BytesMut::with_capacity(first.len() + 1 + line.len());
                joined.extend_from_slice(&first);
                Self::Joined(append(joined, &line))
            }
            Self::Joined(joined) => Self::Joined(append(joined, &line)),
        };
    }

    fn into_bytes(self) -> Option<Bytes> {
        match self {
            Self::None => None,
            Self::One(line) => Some(line),
            Self::Joined(lines) => Some(lines.freeze()),
        }
    }
}

fn append(mut joined: BytesMut, line: &[u8]) -> BytesMut {
    joined.extend_from_slice(b"\n");
    joined.extend_from_slice(line);
    joined
}

fn milliseconds(value: &[u8]) -> Option<Duration> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok().map(Duration::from_millis)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read_all(pieces: &[&[u8]]) -> Vec<Event> {
        let mut reader = Reader::new(1 << 20);
        let mut events = Vec::new();
        for piece in pieces {
            reader.push(piece).expect("within the limit");
            events.extend(&mut reader);
        }
        events
    }

    fn data_of(stream: &str) -> Vec<String> {
        read_all(&[stream.as_bytes()])
            .into_iter()
            .map(|event| String::from_utf8(event.data.to_vec()).expect("UTF-8"))
            .collect()
    }

    #[test]
    fn the_examples_of_the_specification() {
        assert_eq!(data_of("data: YHOO\ndata: +2\ndata: 10\n\n"), ["YHOO\n+2\n10"]);
        let stream =
            ": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
        assert_eq!(data_of(stream), ["first event", "second event", " third event"]);
        assert_eq!(data_of("data\n\ndata\ndata\n\ndata:"), ["", "\n"]);
        assert_eq!(data_of("data:test\n\ndata: test\n\n"), ["test", "test"]);
    }

    #[test]
    fn every_field_is_read() {
        let stream = "event: endpoint\ndata: /x\nid: 7\nretry: 250\n\nid: 8\nretry: 9\n\n";
        let mut reader = Reader::new(1000);
        reader.push(stream.as_bytes()).expect("small");
        let expected = Event {
            event: Some("endpoint".to_owned()),
            data: Bytes::from_static(b"/x"),
            id: Some("7".to_owned()),
            retry: Some(Duration::from_millis(250)),
        };
        assert_eq!(reader.next(), Some(expected));
        assert_eq!(reader.next(), None);
        assert_eq!(reader.last_event_id(), Some("8"));
        assert_eq!(reader.retry(), Some(Duration::from_millis(9)));
    }

    #[test]
    fn an_id_with_nul_and_a_retry_with_letters_are_ignored() {
        let events = read_all(&[b"id: a\0b\nretry: 1x\nretry:\ndata: d\n\n"]);
        assert_eq!(events.len(), 1);
        assert_eq!((&events[0].id, events[0].retry), (&None, None));
    }

    #[test]
    fn a_byte_order_mark_at_the_start_is_skipped_and_elsewhere_is_not() {
        assert_eq!(data_of("\u{feff}data: a\n\n\u{feff}data: b\n\n"), ["a"]);
    }

    #[test]
    fn what_no_blank_line_ended_is_not_an_event() {
        assert!(data_of("data: lost\n").is_empty());
    }

    #[test]
    fn an_event_in_one_piece_is_not_copied() {
        let chunk = Bytes::from("data: {\"jsonrpc\":\"2.0\"}\n\n".to_owned());
        let mut reader = Reader::new(1000);
        reader.push_bytes(chunk.clone()).expect("small");
        let event = reader.next().expect("an event");
        assert_eq!(event.data.as_ptr(), chunk[6..].as_ptr());
    }

    #[test]
    fn an_event_beyond_the_limit_is_refused_for_good_and_those_before_it_are_kept() {
        let mut reader = Reader::new(10);
        let refused = Err(TooLarge { limit: 10 });
        assert_eq!(reader.push(b"data: a\n\ndata: 123456789"), refused);
        assert_eq!(reader.next().map(|event| event.data), Some(Bytes::from_static(b"a")));
        assert_eq!(reader.push(b"\n\n"), refused);
        assert_eq!(reader.next(), None);
        assert_eq!(Reader::new(10).push(b"data: 12345\n\n"), refused);
    }

    #[test]
    fn many_small_events_in_one_chunk_are_within_the_limit() {
        let mut reader = Reader::new(10);
        reader.push("data: a\n\n".repeat(100).as_bytes()).expect("each is small");
        assert_eq!(reader.by_ref().count(), 100);
        assert_eq!(reader.pending_len(), 0);
    }

    fn a_line() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("data: one".to_owned()),
            Just("data:".to_owned()),
            Just("data".to_owned()),
            Just("id: 5".to_owned()),
            Just(": a comment".to_owned()),
            Just("event: x".to_owned()),
            Just("\u{feff}data: marked".to_owned()),
            Just(String::new()),
            Just(String::new()),
            "[a-z:é ]{0,12}",
        ]
    }

    fn a_stream() -> impl Strategy<Value = Vec<(String, &'static str)>> {
        let terminator = prop_oneof![Just("\n"), Just("\r"), Just("\r\n")];
        proptest::collection::vec((a_line(), terminator), 0..24)
    }

    /// The specification's algorithm, word for word over lines.
    fn reference(stream: &str) -> Vec<(String, String)> {
        let text = stream.strip_prefix('\u{feff}').unwrap_or(stream);
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let (mut events, mut data, mut name) = (Vec::new(), String::new(), String::new());
        let Some((complete, _)) = text.rsplit_once('\n') else { return events };
        for line in complete.split('\n') {
            if line.is_empty() {
                if !data.is_empty() {
                    data.pop();
                    events.push((std::mem::take(&mut name), std::mem::take(&mut data)));
                }
                name.clear();
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "data" => data.extend([value, "\n"]),
                "event" => value.clone_into(&mut name),
                _ => {}
            }
        }
        events
    }

    proptest! {
        #[test]
        fn splitting_at_every_byte_gives_the_events_of_the_specification(lines in a_stream()) {
            let stream: String = lines.iter().flat_map(|(line, end)| [line.as_str(), end]).collect();
            let bytes = stream.as_bytes();
            let whole = read_all(&[bytes]);
            let plain: Vec<_> = whole
                .iter()
                .map(|event| {
                    let data = String::from_utf8(event.data.to_vec()).expect("UTF-8");
                    (event.event.clone().unwrap_or_default(), data)
                })
                .collect();
            prop_assert_eq!(plain, reference(&stream));
            for at in 0..=bytes.len() {
                prop_assert_eq!(&read_all(&[&bytes[..at], &bytes[at..]]), &whole);
            }
            let single: Vec<&[u8]> = bytes.chunks(1).collect();
            prop_assert_eq!(&read_all(&single), &whole);
        }

        #[test]
        fn junk_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), limit in 0_usize..64) {
            let mut reader = Reader::new(limit);
            for piece in bytes.chunks(7) {
                let _refused = reader.push(piece);
            }
            prop_assert!(reader.pending_len() <= limit);
        }
    }
}
