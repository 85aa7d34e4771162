//! What was sent on a stream, kept for a client whose connection breaks
//! (2025-11-25, basic/transports, "resumability and redelivery").

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bytes::Bytes;
use trunkline_web::sse;

/// Events kept of one stream.
const MOST_EVENTS: usize = 256;

/// The last events of one stream, by their numbers from 0.
#[derive(Debug)]
pub(crate) struct Kept {
    /// What the ids of its events begin with.
    prefix: String,
    ring: Mutex<Ring>,
    stores: [Arc<Store>; 2],
}

#[derive(Debug, Default)]
struct Ring {
    /// The number of the first event that is there.
    first: u64,
    frames: VecDeque<Bytes>,
    bytes: usize,
}

/// What there is of an event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The event as it was sent.
    There(Bytes),
    /// It has not happened yet.
    ToCome,
    /// It is no longer kept, or never was.
    Gone,
}

impl Kept {
    /// Keeps within the bounds of both stores: the session's and the process's.
    pub(crate) fn new(prefix: String, stores: [Arc<Store>; 2]) -> Arc<Self> {
        let kept = Arc::new(Self { prefix, ring: Mutex::default(), stores });
        for store in &kept.stores {
            store.add(&kept);
        }
        kept
    }

    /// Gives a message its number and its id; what is sent is what is kept.
    pub(crate) fn record(&self, message: &[u8]) -> (u64, Bytes) {
        self.keep(Some("message"), message)
    }

    /// An event without a message, from which on the client can resume.
    pub(crate) fn prime(&self) -> (u64, Bytes) {
        self.keep(None, b"")
    }

    fn keep(&self, name: Option<&str>, data: &[u8]) -> (u64, Bytes) {
        let mut ring = self.ring();
        let number = ring.next();
        let frame = sse::event(name, Some(&format!("{}{number}", self.prefix)), data);
        ring.frames.push_back(frame.clone());
        ring.bytes += frame.len();
        let freed = if ring.frames.len() > MOST_EVENTS { ring.drop_first() } else { 0 };
        // Counted before anybody else can let go of it.
        for store in &self.stores {
            store.bytes.fetch_add(frame.len(), Ordering::Relaxed);
            store.bytes.fetch_sub(freed, Ordering::Relaxed);
        }
        drop(ring);
        for store in &self.stores {
            store.make_room();
        }
        (number, frame)
    }

    pub(crate) fn event(&self, number: u64) -> Event {
        let ring = self.ring();
        let index = number.checked_sub(ring.first).and_then(|index| usize::try_from(index).ok());
        match index.map(|index| ring.frames.get(index)) {
            Some(Some(frame)) => Event::There(frame.clone()),
            _ if number == ring.next() => Event::ToCome,
            _ => Event::Gone,
        }
    }

    /// The number of the next event.
    pub(crate) fn next(&self) -> u64 {
        self.ring().next()
    }

    /// Lets go of what there is; the numbers go on.
    pub(crate) fn forget(&self) {
        let mut ring = self.ring();
        let freed = std::mem::take(&mut ring.bytes);
        ring.first = ring.next();
        ring.frames = VecDeque::new();
        drop(ring);
        for store in &self.stores {
            store.bytes.fetch_sub(freed, Ordering::Relaxed);
        }
    }

    fn ring(&self) -> std::sync::MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.forget();
    }
}

impl Ring {
    fn next(&self) -> u64 {
        self.first + self.frames.len() as u64
    }

    fn drop_first(&mut self) -> usize {
        let freed = self.frames.pop_front().map_or(0, |frame| frame.len());
        self.first += 1;
        self.bytes -= freed;
        freed
    }
}

/// How much the streams of one owner keep together.
#[derive(Debug)]
pub(crate) struct Store {
    most_bytes: usize,
    bytes: AtomicUsize,
    /// The stream whose turn it is to let go comes first.
    streams: Mutex<VecDeque<Weak<Kept>>>,
}

impl Store {
    pub(crate) fn new(most_bytes: usize) -> Arc<Self> {
        Arc::new(Self { most_bytes, bytes: AtomicUsize::new(0), streams: Mutex::default() })
    }

    fn add(&self, kept: &Arc<Kept>) {
        let mut streams = self.streams();
        // Room is made when it is needed, so that adding stays cheap.
        if streams.len() == streams.capacity() {
            streams.retain(|weak| weak.strong_count() > 0);
        }
        streams.push_back(Arc::downgrade(kept));
    }

    fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) > self.most_bytes
    }

    /// The oldest streams let go of what they keep, until there is room.
    fn make_room(&self) {
        if !self.is_full() {
            return;
        }
        let looks = self.streams().len();
        for _ in 0..looks {
            if !self.is_full() {
                return;
            }
            // Its own lock is taken when this one is free again.
            let oldest = self.streams().pop_front();
            let Some(kept) = oldest.and_then(|weak| weak.upgrade()) else { continue };
            kept.forget();
            self.streams().push_back(Arc::downgrade(&kept));
        }
    }

    fn streams(&self) -> std::sync::MutexGuard<'_, VecDeque<Weak<Kept>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stores(session: usize, all: usize) -> [Arc<Store>; 2] {
        [Store::new(session), Store::new(all)]
    }

    #[test]
    fn events_are_numbered_and_come_back_as_they_were_sent() {
        let kept = Kept::new("s.1.".to_owned(), stores(1000, 1000));
        let (number, frame) = kept.prime();
        assert_eq!((number, &frame[..]), (0, &b"id: s.1.0\ndata: \n\n"[..]));
        let (number, frame) = kept.record(b"{}");
        assert_eq!((number, &frame[..]), (1, &b"event: message\nid: s.1.1\ndata: {}\n\n"[..]));
        assert_eq!(kept.event(1), Event::There(frame));
        assert_eq!((kept.event(2), kept.event(3)), (Event::ToCome, Event::Gone));
    }

    #[test]
    fn the_oldest_events_go_first_when_there_are_too_many() {
        let kept = Kept::new(String::new(), stores(1 << 20, 1 << 20));
        for _ in 0..MOST_EVENTS + 2 {
            kept.record(b"{}");
        }
        assert_eq!(kept.event(1), Event::Gone);
        assert!(matches!(kept.event(2), Event::There(_)));
        assert_eq!(kept.event(kept.next()), Event::ToCome);
    }

    #[test]
    fn the_streams_of_one_owner_keep_no_more_than_they_may() {
        let [session, all] = stores(200, 1 << 20);
        let stream = |name: &str| Kept::new(name.to_owned(), [Arc::clone(&session), Arc::clone(&all)]);
        let (old, new) = (stream("a"), stream("b"));
        let message = [b'x'; 60];
        old.record(&message);
        new.record(&message);
        new.record(&message);
        assert_eq!(old.event(0), Event::Gone, "the older stream lets go");
        assert!(matches!(new.event(1), Event::There(_)));
        old.record(&[b'x'; 1000]);
        assert_eq!(old.event(1), Event::Gone, "one message that is too large is not kept");
        assert_eq!(old.event(2), Event::ToCome, "and the stream goes on");
        assert!(session.bytes.load(Ordering::Relaxed) <= 200);
        drop((old, new));
        assert_eq!((session.bytes.load(Ordering::Relaxed), all.bytes.load(Ordering::Relaxed)), (0, 0));
    }
}
