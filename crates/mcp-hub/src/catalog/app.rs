//! The user interface of a tool (MCP Apps, SEP-1865): a resource that the
//! tool names, listed or not, and that its client must be able to read.

use std::ops::Range;

use crate::jsonrpc::Fields;

/// The URIs by which a tool's entry names its interface, and where they stand:
/// in `_meta.ui`, and under the key that was used before.
pub(super) fn resources_of(tool: &[u8]) -> Vec<(Range<usize>, String)> {
    let may_have = memchr::memmem::find(tool, b"resourceUri").is_some();
    let Some(tool) = std::str::from_utf8(tool).ok().filter(|_| may_have) else { return Vec::new() };
    let read = || {
        let members = Fields::find(tool, ["_meta"]).ok()?.raw(0)?;
        let fields = Fields::find(members, ["ui", "ui/resourceUri"]).ok()?;
        let nested = fields.raw(0).and_then(|ui| Fields::find(ui, ["resourceUri"]).ok()?.raw(0));
        Some([nested, fields.raw(1)])
    };
    let place = |raw: &str| {
        let start = raw.as_ptr() as usize - tool.as_ptr() as usize;
        Some((start..start + raw.len(), serde_json::from_str(raw).ok()?))
    };
    read().into_iter().flatten().flatten().filter_map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interface_of_a_tool_is_found_where_it_is_named() {
        let tool = r#"{"name":"t","x":{"resourceUri":"ui://no"},"_meta":{"ui":{"resourceUri":"ui:\/\/a"},"ui/resourceUri":"ui://b"}}"#;
        let found = resources_of(tool.as_bytes());
        let read: Vec<_> = found.iter().map(|(place, uri)| (&tool[place.clone()], uri.as_str())).collect();
        assert_eq!(read, [(r#""ui:\/\/a""#, "ui://a"), (r#""ui://b""#, "ui://b")]);
        assert!(resources_of(br#"{"name":"t","_meta":{"ui":{"resourceUri":7}}}"#).is_empty());
    }
}
