//! `_meta` on its way to a server: what the hop itself says is made anew, all
//! else passes (2026-07-28, basic, `_meta`).

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::jsonrpc::{meta, text, unquote};
use crate::upstream::hop;

/// The progress token of a request, as the client wrote it.
pub(super) fn progress_token(meta: &str) -> Option<&str> {
    crate::jsonrpc::Fields::find(meta, ["progressToken"]).ok()?.raw(0)
}

/// What the hop to a modern server says of itself.
pub(super) struct ModernHop<'a> {
    /// The client's own `clientInfo`, passed on when it gave one.
    pub client_info: Option<&'a str>,
    /// What the client can be asked for, as raw JSON.
    pub capabilities: &'a str,
    /// The least serious level of log messages wanted.
    pub log_level: Option<&'a str>,
}

/// Rewrites `_meta` for the next hop. `progress` is the token that the server
/// shall use; `hop` is given for a modern server. None when nothing is left.
pub(super) fn rewritten(
    original: Option<&str>,
    progress: Option<u64>,
    hop: Option<&ModernHop<'_>>,
) -> Option<String> {
    let mut members: Vec<String> = Vec::new();
    if let Some(hop) = hop {
        members.extend(hop::members(hop.client_info, hop.capabilities));
        if let Some(level) = hop.log_level {
            members.push(format!("{}:{}", text(meta::LOG_LEVEL), text(level)));
        }
    }
    if let Some(token) = progress {
        members.push(format!("\"progressToken\":{token}"));
    }
    for (key, value) in original.map(passing).unwrap_or_default() {
        members.push(format!("{key}:{value}"));
    }
    (!members.is_empty()).then(|| format!("{{{}}}", members.join(",")))
}

/// Whether nothing has to change for a legacy server.
pub(super) fn may_pass_as_is(original: &str) -> bool {
    !original.contains("progressToken")
        && !original.contains("io.modelcontextprotocol/")
        && !original.contains('\\')
}

/// The members that pass, as they are written: all but those that speak of one
/// hop.
fn passing(original: &str) -> Vec<(&str, &str)> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(&'de str, &'de str)>;
        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some((key, value)) = map.next_entry::<&'de RawValue, &'de RawValue>()? {
                members.push((key.get(), value.get()));
            }
            Ok(members)
        }
    }
    let mut members =
        serde_json::Deserializer::from_str(original).deserialize_map(Members).unwrap_or_default();
    // A key that cannot be read is none that the hub knows.
    members.retain(|(key, _)| !unquote(key).is_some_and(|key| is_of_one_hop(&key)));
    members
}

fn is_of_one_hop(key: &str) -> bool {
    key == "progressToken"
        || [
            meta::PROTOCOL_VERSION,
            meta::CLIENT_CAPABILITIES,
            meta::CLIENT_INFO,
            meta::LOG_LEVEL,
            meta::SERVER_INFO,
            meta::SUBSCRIPTION_ID,
        ]
        .contains(&key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_one_hop_are_made_anew_and_others_pass() {
        let original = r#"{"progressToken":"abc","claudecode/toolUseId":"t1","io.modelcontextprotocol/logLevel":"debug","x":{"y":1e2}}"#;
        assert_eq!(
            rewritten(Some(original), Some(7), None).unwrap(),
            r#"{"progressToken":7,"claudecode/toolUseId":"t1","x":{"y":1e2}}"#
        );
        let odd = r#"{"\ud800":1,"progress\u0054oken":2,"v\u002fy":"\ud800","i\u006f.modelcontextprotocol/logLevel":"debug"}"#;
        assert_eq!(rewritten(Some(odd), None, None).unwrap(), r#"{"\ud800":1,"v\u002fy":"\ud800"}"#);
        assert_eq!(rewritten(Some(r#"{"progressToken":1}"#), None, None), None);
        assert_eq!(progress_token(original), Some("\"abc\""));
    }
}
