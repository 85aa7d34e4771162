//! Skills of a server whose files an earlier server of the profile has too
//! (SEP-2640): their URIs name the server, wherever they stand.

use bytes::Bytes;
use serde_json::value::RawValue;
use trunkline_model::ServerName;

use super::resources::qualified as qualified_uri;
use crate::jsonrpc::{Fields, splice, text};

/// The entry of a skill with every URI naming the server; none when it is not
/// as the specification says.
pub(super) fn qualified(entry: &Bytes, server: &ServerName) -> Option<Bytes> {
    let entry = std::str::from_utf8(entry).ok()?;
    Some(Bytes::from(with_uris(entry, &[entry], server)?))
}

/// The result of `skills/get`, of `resources/directory/read` or of
/// `resources/read` for a client that knows the server's URIs as naming it.
pub(crate) fn shown(method: &str, server: &ServerName, result: Bytes) -> Bytes {
    let Ok(original) = std::str::from_utf8(&result) else { return result };
    let shown = match method {
        "skills/get" => member(original, "skill").and_then(|skill| with_uris(original, &[skill], server)),
        "resources/directory/read" => with_uris(original, &[original], server),
        _ => None,
    };
    shown.map_or(result, Bytes::from)
}

/// `whole` with the `uri` of each holder, a part of it, and of each of the
/// holder's `resources` naming the server.
fn with_uris(whole: &str, holders: &[&str], server: &ServerName) -> Option<String> {
    let mut places = Vec::new();
    for holder in holders {
        places.extend(uri_in(whole, holder));
        let resources = member(holder, "resources").unwrap_or("[]");
        // The word "dynamic" may stand for them.
        let resources: Vec<&RawValue> = serde_json::from_str(resources).unwrap_or_default();
        places.extend(resources.into_iter().filter_map(|resource| uri_in(whole, resource.get())));
    }
    places.sort_by_key(|(place, _)| place.start);
    let edits: Vec<_> =
        places.into_iter().map(|(place, uri)| (place, text(&qualified_uri(server, &uri)))).collect();
    let edits: Vec<_> = edits.iter().map(|(place, uri)| (place.clone(), uri.as_str())).collect();
    (!edits.is_empty()).then(|| splice(whole, &edits))
}

fn member<'a>(object: &'a str, name: &'static str) -> Option<&'a str> {
    Fields::find(object, [name]).ok()?.raw(0)
}

fn uri_in(whole: &str, holder: &str) -> Option<(std::ops::Range<usize>, String)> {
    let fields = Fields::find(holder, ["uri"]).ok()?;
    let uri = fields.string(0).ok()??.into_owned();
    let raw = fields.raw(0)?;
    let start = raw.as_ptr() as usize - whole.as_ptr() as usize;
    Some((start..start + raw.len(), uri))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_uri_of_a_skill_names_the_server_and_nothing_else_changes() {
        let server = ServerName::new("b").unwrap();
        let entry = r#"{"resources":[{"digest":"sha256:0","uri":"skill://g/SKILL.md","size":1e0}], "uri":"skill://g/SKILL.md","frontmatter":{"uri":"skill://g"}}"#;
        let expected = entry.replace(r#""skill://g/SKILL.md""#, r#""trunkline://b/skill://g/SKILL.md""#);
        assert_eq!(qualified(&Bytes::copy_from_slice(entry.as_bytes()), &server).unwrap(), expected);
        let got = format!(r#"{{"skill":{entry},"ttlMs":1}}"#);
        let shown_to_client = shown("skills/get", &server, Bytes::from(got));
        assert_eq!(shown_to_client, format!(r#"{{"skill":{expected},"ttlMs":1}}"#));
        let dynamic = Bytes::from_static(br#"{"uri":"skill://g/SKILL.md","resources":"dynamic"}"#);
        assert!(qualified(&dynamic, &server).unwrap().ends_with(br#"SKILL.md","resources":"dynamic"}"#));
        let directory = Bytes::from_static(br#"{"resources":[{"uri":"skill://g/x"}],"nextCursor":"uri"}"#);
        let expected = r#"{"resources":[{"uri":"trunkline://b/skill://g/x"}],"nextCursor":"uri"}"#;
        assert_eq!(shown("resources/directory/read", &server, directory), expected);
    }
}
