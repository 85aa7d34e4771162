//! Puts one table into TOML, and leaves every other byte of the text as it is.

use thiserror::Error;
use toml_edit::{DocumentMut, Item, Table};

/// Why a text cannot be edited.
#[derive(Debug, Error)]
pub(crate) enum TomlError {
    #[error("it is not TOML: {0}")]
    Syntax(#[from] toml_edit::TomlError),
    #[error("{0} is there, but it is not a table")]
    NotATable(String),
}

/// The text with `entries` as the table `[outer.name]`: a value that is there
/// already keeps its place, a key that is not in `entries` goes.
///
/// # Errors
/// The text is not TOML, or `outer` or `outer.name` is something else than a table.
pub(crate) fn put(text: &str, outer: &str, name: &str, entries: &Table) -> Result<String, TomlError> {
    let mut document: DocumentMut = text.parse()?;
    let not_a_table = |place: String| TomlError::NotATable(place);
    let outer_item = document.entry(outer).or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let servers = outer_item.as_table_like_mut().ok_or_else(|| not_a_table(outer.to_owned()))?;
    if let Some(existing) = servers.get_mut(name) {
        let existing = existing.as_table_like_mut().ok_or_else(|| not_a_table(format!("{outer}.{name}")))?;
        let stale: Vec<String> =
            existing.iter().map(|(key, _)| key.to_owned()).filter(|key| !entries.contains_key(key)).collect();
        for key in stale {
            existing.remove(&key);
        }
        for (key, item) in entries {
            if !existing.get(key).is_some_and(|old| same(old, item)) {
                existing.insert(key, item.clone());
            }
        }
    } else {
        servers.insert(name, Item::Table(entries.clone()));
    }
    Ok(document.to_string())
}

/// Whether the text has a table `[outer.name]`.
pub(crate) fn contains(text: &str, outer: &str, name: &str) -> bool {
    let document = text.parse::<DocumentMut>().ok();
    document.is_some_and(|document| document.get(outer).and_then(|servers| servers.get(name)).is_some())
}

/// Whether both mean the same, however they are written.
fn same(one: &Item, other: &Item) -> bool {
    if let (Some(one), Some(other)) = (one.as_str(), other.as_str()) {
        return one == other;
    }
    match (one.as_table_like(), other.as_table_like()) {
        (Some(one), Some(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, item)| other.get(key).is_some_and(|match_| same(item, match_)))
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(url: &str) -> Table {
        let mut table = Table::new();
        table.insert("url", toml_edit::value(url));
        table
    }

    #[test]
    fn a_table_is_added_changed_and_left_alone() {
        let before = "# mine\nmodel = \"x\" # fast\n\n[mcp_servers.other]\ncommand = \"npx\"\n";
        let added = put(before, "mcp_servers", "hub", &table("u")).unwrap();
        assert_eq!(added, format!("{before}\n[mcp_servers.hub]\nurl = \"u\"\n"));
        assert_eq!(put(&added, "mcp_servers", "hub", &table("u")).unwrap(), added);
        let changed = put(&added, "mcp_servers", "hub", &table("v")).unwrap();
        assert_eq!(changed, format!("{before}\n[mcp_servers.hub]\nurl = \"v\"\n"));
    }

    #[test]
    fn an_empty_text_gets_one_table() {
        assert_eq!(put("", "mcp_servers", "hub", &table("u")).unwrap(), "[mcp_servers.hub]\nurl = \"u\"\n");
    }

    #[test]
    fn what_is_not_a_table_is_refused() {
        for text in ["mcp_servers = 1", "[[mcp_servers]]", "mcp_servers = [", "[mcp_servers]\nhub = 1"] {
            assert!(put(text, "mcp_servers", "hub", &table("u")).is_err(), "{text}");
        }
    }
}
