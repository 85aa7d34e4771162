//! Pages of the lists.

use std::num::NonZeroUsize;

use rmcp::ErrorData;
use rmcp::model::{Cursor, PaginatedRequestParams};

use crate::options::Conduct;

/// The cursor that a server with `--endless-pages` hands out again and again.
const AGAIN: &str = "again";

/// What a cursor of ours begins with; the rest is the number of entries before the page.
const AFTER: &str = "after-";

pub(crate) struct Page<T> {
    pub(crate) entries: Vec<T>,
    pub(crate) next: Option<Cursor>,
}

/// The page that `request` asks for.
///
/// # Errors
/// `-32602` for a cursor that this server did not make.
pub(crate) fn page<T>(
    mut entries: Vec<T>,
    request: Option<PaginatedRequestParams>,
    conduct: &Conduct,
) -> Result<Page<T>, ErrorData> {
    let cursor = request.and_then(|request| request.cursor);
    if conduct.endless_pages {
        return Ok(Page { entries, next: Some(AGAIN.to_owned()) });
    }
    let start = match cursor {
        None => 0,
        Some(cursor) => start_of(&cursor, entries.len())?,
    };
    let mut page = entries.split_off(start);
    let size = conduct.page_size.map_or(page.len(), NonZeroUsize::get);
    let next = (page.len() > size).then(|| format!("{AFTER}{}", start + size));
    page.truncate(size);
    Ok(Page { entries: page, next })
}

fn start_of(cursor: &str, entries: usize) -> Result<usize, ErrorData> {
    cursor
        .strip_prefix(AFTER)
        .and_then(|start| start.parse().ok())
        .filter(|start| *start < entries)
        .ok_or_else(|| ErrorData::invalid_params("the cursor is not one of this server", None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::era::Eras;

    fn conduct(page_size: usize) -> Conduct {
        Conduct {
            era: Eras::Both,
            delay_ms: 0,
            page_size: NonZeroUsize::new(page_size),
            endless_pages: false,
            json_responses: false,
        }
    }

    fn after(cursor: Option<Cursor>) -> PaginatedRequestParams {
        PaginatedRequestParams::default().with_cursor(cursor)
    }

    #[test]
    fn pages_hold_every_entry_once() {
        let conduct = conduct(2);
        let mut seen = Vec::new();
        let mut cursor = None;
        loop {
            let page = page((0..5).collect(), Some(after(cursor)), &conduct).unwrap();
            seen.extend(page.entries);
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn one_page_names_no_next() {
        assert_eq!(page(vec![1, 2], None, &conduct(0)).unwrap().next, None);
    }

    #[test]
    fn a_foreign_cursor_is_refused() {
        for cursor in ["after-5", "after-", "after--1", "elsewhere"] {
            let refused = page(vec![1, 2], Some(after(Some(cursor.to_owned()))), &conduct(1));
            assert_eq!(refused.map(|page| page.entries).unwrap_err().code.0, -32602, "{cursor}");
        }
    }

    #[test]
    fn endless_pages_never_end() {
        let conduct = Conduct { endless_pages: true, ..conduct(0) };
        let first = page(vec![1], None, &conduct).unwrap();
        let second = page(vec![1], Some(after(first.next.clone())), &conduct).unwrap();
        assert_eq!(first.next, second.next);
    }
}
