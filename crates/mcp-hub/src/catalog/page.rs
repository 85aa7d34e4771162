//! A list, serialised once and served many times.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::{Bytes, BytesMut};

/// Entries on one page; clients that ignore cursors still see a whole page.
const PAGE_ENTRIES: usize = 1_000;

/// The entries of a list as they go out, joined with commas, page by page.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listing {
    pages: Vec<Bytes>,
    digest: u64,
}

/// One page and the cursor of the next.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub entries: Bytes,
    pub next: Option<String>,
}

impl Listing {
    pub(crate) fn new(entries: &[Bytes]) -> Self {
        let pages: Vec<Bytes> = entries.chunks(PAGE_ENTRIES).map(joined).collect();
        let mut hasher = DefaultHasher::new();
        pages.hash(&mut hasher);
        Self { pages, digest: hasher.finish() }
    }

    /// The page that `cursor` names; none when the cursor is not ours or the
    /// list has changed since.
    pub(crate) fn page(&self, cursor: Option<&str>) -> Option<Page> {
        let index = match cursor {
            None => 0,
            Some(cursor) => self.index_of(cursor)?,
        };
        let entries = match self.pages.get(index) {
            Some(entries) => entries.clone(),
            None if index == 0 => Bytes::new(),
            None => return None,
        };
        let next = (index + 1 < self.pages.len()).then(|| self.cursor(index + 1));
        Some(Page { entries, next })
    }

    fn cursor(&self, index: usize) -> String {
        URL_SAFE_NO_PAD.encode(format!("{:x}.{index}", self.digest))
    }

    fn index_of(&self, cursor: &str) -> Option<usize> {
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
        let (digest, index) = text.split_once('.')?;
        (u64::from_str_radix(digest, 16).ok()? == self.digest).then_some(())?;
        index.parse().ok()
    }
}

fn joined(entries: &[Bytes]) -> Bytes {
    let length = entries.iter().map(|entry| entry.len() + 1).sum();
    let mut page = BytesMut::with_capacity(length);
    for entry in entries {
        if !page.is_empty() {
            page.extend_from_slice(b",");
        }
        page.extend_from_slice(entry);
    }
    page.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listing(count: usize) -> Listing {
        let entries: Vec<_> = (0..count).map(|number| Bytes::from(number.to_string())).collect();
        Listing::new(&entries)
    }

    #[test]
    fn pages_follow_each_other_to_the_end() {
        let list = listing(2_500);
        let mut seen = Vec::new();
        let mut cursor = None;
        loop {
            let page = list.page(cursor.as_deref()).unwrap();
            seen.extend(page.entries.split(|byte| *byte == b',').map(<[u8]>::to_vec));
            match page.next {
                Some(next) => cursor = Some(next),
                None => break,
            }
        }
        let expected: Vec<_> = (0..2_500).map(|number| number.to_string().into_bytes()).collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_cursor_of_another_list_or_of_nobody_is_refused() {
        let old = listing(2_500).page(None).unwrap().next.unwrap();
        assert!(listing(2_400).page(Some(&old)).is_none());
        for junk in ["", "x", "!!!", &URL_SAFE_NO_PAD.encode("0.1")] {
            assert!(listing(2_500).page(Some(junk)).is_none(), "{junk}");
        }
    }

    #[test]
    fn an_empty_list_has_one_empty_page() {
        let page = listing(0).page(None).unwrap();
        assert!(page.entries.is_empty() && page.next.is_none());
    }
}
