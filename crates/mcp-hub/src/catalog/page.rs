//! A list, serialised once and served many times.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{Bytes, BytesMut};

use super::gzip::Deflated;
use crate::downstream::answer::Pieces;
use crate::jsonrpc::text;
use crate::upstream::Era;

/// Entries on one page; clients that ignore cursors still see a whole page.
const PAGE_ENTRIES: usize = 1_000;
/// How long a modern client may keep a list that it cannot hear changes of, in milliseconds.
const TTL_MS: u32 = 30_000;
/// What is shorter is not worth compressing, in bytes.
const SHORT: usize = 4_096;

/// A list as it goes out, page by page: everything behind the opening bracket
/// of its entries.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    pages: Arc<[Page]>,
    digest: u64,
}

/// The lists that somebody is shown. Callers who are shown the same share it.
#[derive(Debug, Default)]
pub(crate) struct Listings(Mutex<HashMap<u64, Weak<[Page]>>>);

#[derive(Debug)]
pub(crate) struct Page {
    /// Joined with commas, and the end of the message for a legacy client.
    legacy: Arc<Tail>,
    /// How much of that is entries.
    entries: usize,
    /// The same with the end for a modern client, once one has asked.
    modern: OnceLock<Arc<Tail>>,
}

/// The end of a message, from the entries of its list on.
#[derive(Debug)]
pub(crate) struct Tail {
    plain: Bytes,
    /// Whether a client has asked for it compressed. That takes longer than
    /// sending it a hundred times, so it is done for what is asked for again.
    wanted: AtomicBool,
    deflated: OnceLock<Deflated>,
}

impl Tail {
    fn new(plain: Bytes) -> Arc<Self> {
        Arc::new(Self { plain, wanted: AtomicBool::new(false), deflated: OnceLock::new() })
    }

    /// The message that begins with `head`.
    pub(crate) fn after(&self, head: String) -> Pieces {
        Pieces::new([Bytes::from(head), self.plain.clone(), Bytes::new()])
    }

    /// The same as a gzip member, when the list is compressed by now.
    pub(crate) fn gzipped_after(self: &Arc<Self>, head: &str) -> Option<Pieces> {
        if let Some(deflated) = self.deflated.get() {
            return deflated.after(head.as_bytes()).map(Pieces::gzipped);
        }
        if self.plain.len() > SHORT && self.wanted.swap(true, Ordering::Relaxed) {
            let tail = Arc::clone(self);
            tokio::task::spawn_blocking(move || {
                tail.deflated.get_or_init(|| Deflated::new(&tail.plain));
            });
        }
        None
    }
}

impl Listings {
    /// `pages`, or the same pages that others are shown already.
    fn shared(&self, pages: Vec<Page>) -> Arc<[Page]> {
        let mut hasher = DefaultHasher::new();
        for page in &pages {
            page.legacy.plain.hash(&mut hasher);
        }
        let key = hasher.finish();
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |there: &Arc<[Page]>| {
            let plain = |page: &Page| page.legacy.plain.clone();
            there.iter().map(plain).eq(pages.iter().map(plain))
        };
        if let Some(there) = known.get(&key).and_then(Weak::upgrade).filter(same) {
            return there;
        }
        known.retain(|_, there| there.strong_count() > 0);
        let pages = Arc::from(pages);
        known.insert(key, Arc::downgrade(&pages));
        pages
    }
}

impl Listing {
    /// `label` is what `_meta` says beside the list, as a JSON member.
    pub(crate) fn new(entries: &[Bytes], label: Option<&str>, listings: &Listings) -> Self {
        let mut hasher = DefaultHasher::new();
        entries.hash(&mut hasher);
        let digest = hasher.finish();
        let count = entries.len().div_ceil(PAGE_ENTRIES).max(1);
        let pages = (0..count).map(|index| {
            let start = (index * PAGE_ENTRIES).min(entries.len());
            let of_page = &entries[start..(start + PAGE_ENTRIES).min(entries.len())];
            let next = (index + 1 < count).then(|| cursor(digest, index + 1));
            let end = end(Era::Legacy, next.as_deref(), label);
            let joined = joined(of_page, &end);
            Page { entries: joined.len() - end.len(), legacy: Tail::new(joined), modern: OnceLock::new() }
        });
        Self { pages: listings.shared(pages.collect()), digest }
    }

    /// The same for the same entries, whatever is said beside them.
    pub(crate) fn digest(&self) -> u64 {
        self.digest
    }

    /// The page that `cursor` names, for a client of `era`; none when the
    /// cursor is not ours or the list has changed since.
    pub(crate) fn page(&self, cursor: Option<&str>, era: Era, label: Option<&str>) -> Option<&Arc<Tail>> {
        let index = cursor.map_or(Some(0), |cursor| self.index_of(cursor))?;
        let page = self.pages.get(index)?;
        if era == Era::Legacy {
            return Some(&page.legacy);
        }
        Some(page.modern.get_or_init(|| {
            let next = (index + 1 < self.pages.len()).then(|| self::cursor(self.digest, index + 1));
            let end = end(era, next.as_deref(), label);
            Tail::new(joined(&[page.legacy.plain.slice(..page.entries)], &end))
        }))
    }

    fn index_of(&self, cursor: &str) -> Option<usize> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let (digest, index) = text.split_once('.')?;
        (u64::from_str_radix(digest, 16).ok()? == self.digest).then_some(())?;
        index.parse().ok()
    }
}

fn cursor(digest: u64, index: usize) -> String {
    URL_SAFE_NO_PAD.encode(format!("{digest:x}.{index}"))
}

/// What follows the entries, to the end of the message.
fn end(era: Era, next: Option<&str>, label: Option<&str>) -> String {
    let mut end = "]".to_owned();
    if let Some(next) = next {
        end.push_str(",\"nextCursor\":");
        end.push_str(&text(next));
    }
    if era == Era::Modern {
        // What is missing may be there at any moment.
        let ttl = if label.is_none() { TTL_MS } else { 0 };
        end.push_str(",\"resultType\":\"complete\",\"cacheScope\":\"private\",\"ttlMs\":");
        end.push_str(&ttl.to_string());
    }
    if let Some(label) = label {
        end.push_str(&[",\"_meta\":{", label, "}"].concat());
    }
    end.push_str("}}");
    end
}

fn joined(entries: &[Bytes], end: &str) -> Bytes {
    let length: usize = entries.iter().map(|entry| entry.len() + 1).sum();
    let mut page = BytesMut::with_capacity(length + end.len());
    for entry in entries {
        if !page.is_empty() {
            page.extend_from_slice(b",");
        }
        page.extend_from_slice(entry);
    }
    page.extend_from_slice(end.as_bytes());
    page.freeze()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn listing(count: usize) -> Listing {
        let entries: Vec<_> = (0..count).map(|number| Bytes::from(number.to_string())).collect();
        Listing::new(&entries, None, &Listings::default())
    }

    /// The result that a client of `era` reads.
    fn read(list: &Listing, cursor: Option<&str>, era: Era, label: Option<&str>) -> Value {
        let page = list.page(cursor, era, label).unwrap();
        let message = page.after(r#"{"result":{"tools":["#.to_owned()).joined();
        let message: Value = serde_json::from_slice(&message).unwrap();
        message["result"].clone()
    }

    #[test]
    fn pages_follow_each_other_to_the_end() {
        let list = listing(2_500);
        for era in [Era::Legacy, Era::Modern] {
            let mut seen = Vec::new();
            let mut cursor: Option<String> = None;
            loop {
                let page = read(&list, cursor.as_deref(), era, None);
                seen.extend(page["tools"].as_array().unwrap().iter().map(|entry| entry.as_u64().unwrap()));
                match page["nextCursor"].as_str() {
                    Some(next) => cursor = Some(next.to_owned()),
                    None => break,
                }
            }
            assert_eq!(seen, (0..2_500).collect::<Vec<u64>>());
        }
    }

    #[test]
    fn a_cursor_of_another_list_or_of_nobody_is_refused() {
        let old = read(&listing(2_500), None, Era::Legacy, None)["nextCursor"].as_str().unwrap().to_owned();
        assert!(listing(2_400).page(Some(&old), Era::Legacy, None).is_none());
        for junk in ["", "x", "!!!", &URL_SAFE_NO_PAD.encode("0.1")] {
            assert!(listing(2_500).page(Some(junk), Era::Legacy, None).is_none(), "{junk}");
        }
    }

    #[test]
    fn an_empty_list_has_one_empty_page() {
        assert_eq!(read(&listing(0), None, Era::Legacy, None), json!({ "tools": [] }));
    }

    #[test]
    fn each_era_has_its_own_members_and_what_is_missing_is_kept_by_nobody() {
        let modern = read(&listing(1), None, Era::Modern, None);
        let expected =
            json!({ "tools": [0], "resultType": "complete", "cacheScope": "private", "ttlMs": TTL_MS });
        assert_eq!(modern, expected);
        let label = Some(r#""x":1"#);
        let partial = Listing::new(&[Bytes::from_static(b"0")], label, &Listings::default());
        assert_eq!(read(&partial, None, Era::Legacy, label), json!({ "tools": [0], "_meta": { "x": 1 } }));
        assert_eq!(read(&partial, None, Era::Modern, label)["ttlMs"], 0);
    }

    #[test]
    fn callers_who_are_shown_the_same_share_it() {
        let listings = Listings::default();
        let entries = |word: &'static str| vec![Bytes::from_static(word.as_bytes()); 2_500];
        let first = Listing::new(&entries("1"), None, &listings);
        let second = Listing::new(&entries("1"), None, &listings);
        assert!(Arc::ptr_eq(&first.pages, &second.pages));
        for (entries, label) in [(entries("2"), None), (entries("1"), Some(r#""x":1"#))] {
            let other = Listing::new(&entries, label, &listings);
            assert!(!Arc::ptr_eq(&first.pages, &other.pages));
        }
        drop((first, second));
        Listing::new(&entries("3"), None, &listings);
        assert_eq!(listings.0.lock().unwrap().len(), 1, "what nobody is shown is forgotten");
    }

    #[tokio::test]
    async fn a_list_is_compressed_for_whoever_asks_after_the_first() {
        let list = Listing::new(&vec![Bytes::from_static(b"\"word\""); 1_000], None, &Listings::default());
        let tail = list.page(None, Era::Legacy, None).unwrap();
        assert!(tail.gzipped_after("{").is_none());
        let asked = std::time::Instant::now();
        while tail.gzipped_after("{").is_none() {
            assert!(asked.elapsed().as_secs() < 10);
            tokio::task::yield_now().await;
        }
        let short = listing(3);
        let tail = short.page(None, Era::Legacy, None).unwrap();
        assert!((0..3).all(|_| tail.gzipped_after("{").is_none()));
    }
}
