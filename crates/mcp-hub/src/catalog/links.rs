//! Links in a tool's result to resources that the profile shows under
//! another URI than their server's own.

use std::collections::HashSet;
use std::ops::Range;

use bytes::Bytes;
use globset::GlobMatcher;
use serde_json::value::RawValue;
use trunkline_model::ServerName;

use super::resources::qualified;
use crate::jsonrpc::{Fields, splice, text};

/// What one server lists and an earlier server of the profile lists too: read
/// as it stands in a result, it would be that server's.
#[derive(Debug)]
pub(crate) struct Taken {
    server: ServerName,
    uris: HashSet<String>,
    templates: Vec<GlobMatcher>,
}

impl Taken {
    pub(super) fn of(server: &ServerName) -> Self {
        Self { server: server.clone(), uris: HashSet::new(), templates: Vec::new() }
    }

    pub(super) fn add_uri(&mut self, uri: &str) {
        self.uris.insert(uri.to_owned());
    }

    pub(super) fn add_template(&mut self, matcher: Option<GlobMatcher>) {
        self.templates.extend(matcher);
    }

    /// How the profile shows a URI of the server; none where it is the
    /// server's own.
    pub(crate) fn shown_uri(&self, uri: &str) -> Option<String> {
        (self.uris.contains(uri) || self.fits(uri)).then(|| qualified(&self.server, uri))
    }

    /// The result of a tool of the server with its links as the profile shows
    /// them, and all else as it stands (2026-07-28, server/tools, "resource
    /// links" and "embedded resources").
    pub(crate) fn shown(&self, result: Bytes) -> Bytes {
        let Ok(original) = std::str::from_utf8(&result) else { return result };
        let links = links(original).unwrap_or_default();
        let edits: Vec<_> = links
            .into_iter()
            .filter_map(|link| Some((link.place, text(&self.shown_uri(&link.uri)?))))
            .collect();
        if edits.is_empty() {
            return result;
        }
        let edits: Vec<_> = edits.iter().map(|(place, uri)| (place.clone(), uri.as_str())).collect();
        Bytes::from(splice(original, &edits))
    }

    fn fits(&self, uri: &str) -> bool {
        self.templates.iter().any(|template| template.is_match(uri))
    }
}

/// A URI in a result, and where it stands, quotes included.
struct Link {
    place: Range<usize>,
    uri: String,
}

/// The links of a result in their order. A part that is not as the
/// specification says has none: its reader will not find one either.
fn links(result: &str) -> Option<Vec<Link>> {
    let content = Fields::find(result, ["content"]).ok()?.raw(0)?;
    let items: Vec<&RawValue> = serde_json::from_str(content).ok()?;
    Some(items.into_iter().filter_map(|item| link(result, item.get())).collect())
}

fn link(result: &str, item: &str) -> Option<Link> {
    let fields = Fields::find(item, ["type", "uri", "resource"]).ok()?;
    let holder = match fields.string(0).ok()??.as_ref() {
        "resource_link" => item,
        "resource" => fields.raw(2)?,
        _ => return None,
    };
    let fields = Fields::find(holder, ["uri"]).ok()?;
    let raw = fields.raw(0)?;
    let start = raw.as_ptr() as usize - result.as_ptr() as usize;
    Some(Link { place: start..start + raw.len(), uri: fields.string(0).ok()??.into_owned() })
}

#[cfg(test)]
mod tests {
    use super::super::resources::matcher_of;
    use super::*;

    fn taken() -> Taken {
        let mut taken = Taken::of(&ServerName::new("b").unwrap());
        taken.add_uri("demo://x");
        taken.add_template(matcher_of("note://{id}"));
        taken
    }

    fn shown(result: &'static str) -> Bytes {
        taken().shown(Bytes::from_static(result.as_bytes()))
    }

    #[test]
    fn links_to_what_another_server_has_too_name_their_server() {
        let result = r#"{ "x":1e2,"content":[{"type":"text","text":"demo://x"},
            {"uri" : "demo:\/\/x", "type":"resource_link","name":"n"},
            {"type":"resource","resource":{"uri":"note://7","text":"\u0041","x":[1]}},
            {"type":"resource_link","uri":"demo://y"}], "structuredContent":{"uri":"demo://x"}}"#;
        let expected = result
            .replace(r#""demo:\/\/x""#, r#""trunkline://b/demo://x""#)
            .replace(r#""note://7""#, r#""trunkline://b/note://7""#);
        assert_eq!(shown(result), expected);
    }

    #[test]
    fn what_has_no_such_link_is_the_same_bytes() {
        for result in [
            r#"{"content":[{"type":"resource_link","uri":"demo://y"}]}"#,
            r#"{"content":[{"type":"resource_link","uri":"demo://x","uri":"demo://x"}]}"#,
            r#"{"content":[{"type":"resource_link","uri":7},{"type":"resource","resource":"demo://x"}, 1]}"#,
            r#"{"content":"demo://x"}"#,
            r#"{"structuredContent":{"type":"resource_link","uri":"demo://x"}}"#,
            "[]",
        ] {
            assert_eq!(shown(result), result);
        }
    }
}
