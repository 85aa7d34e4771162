//! What a profile's servers can do together, as clients are told by
//! `initialize` (2025-11-25, basic/lifecycle) and `server/discover`
//! (2026-07-28, basic/versioning).

use serde_json::{Map, Value};
use trunkline_profiles::EffectiveProfile;

use super::Request;
use crate::bridge::task::EXTENSION;
use crate::catalog::view::View;
use crate::jsonrpc::{Fields, cut};
use crate::upstream::{Era, Greeting};

/// The `capabilities` object. While a server is not known yet, everything that
/// it might turn out to do; extensions have names that cannot be known before.
pub(super) fn of(request: &Request, view: &View) -> String {
    let known = is_known(&request.profile, view);
    let any = |name: &'static str| {
        !known || view.greetings.iter().any(|(_, greeting)| greeting.has_capability(name))
    };
    let members = [
        ("tools", "{\"listChanged\":true}"),
        ("prompts", "{\"listChanged\":true}"),
        ("resources", "{\"listChanged\":true}"),
        ("completions", "{}"),
        ("logging", "{}"),
    ];
    let subscribes = !known || view.greetings.iter().any(|(_, greeting)| subscribes(greeting));
    let mut members: Vec<String> = members
        .iter()
        .filter(|(name, _)| any(name))
        .map(|(name, value)| match *name {
            "resources" if subscribes => "\"resources\":{\"listChanged\":true,\"subscribe\":true}".to_owned(),
            _ => format!("\"{name}\":{value}"),
        })
        .collect();
    for name in ["extensions", "experimental", "tasks"] {
        if let Some(value) = together(name, request.era, view) {
            members.push(format!("\"{name}\":{value}"));
        }
    }
    format!("{{{}}}", members.join(","))
}

/// What the servers declare under this name, as the client of an era can use
/// it: one server's as it wrote it, several servers' together.
fn together(name: &'static str, client: Era, view: &View) -> Option<String> {
    let mut declared = view
        .greetings
        .iter()
        .filter_map(|(_, greeting)| declared(name, client, greeting))
        .filter(|raw| raw != "{}");
    let first = declared.next()?;
    let Some(second) = declared.next() else { return Some(first) };
    let mut all: Map<String, Value> = serde_json::from_str(&first).ok()?;
    for raw in std::iter::once(second).chain(declared) {
        merge(&mut all, serde_json::from_str(&raw).unwrap_or_default());
    }
    Some(Value::Object(all).to_string())
}

fn declared(name: &'static str, client: Era, greeting: &Greeting) -> Option<String> {
    // Tasks of 2025-11-25 have no meaning in the other era.
    if name == "tasks" && (client, greeting.era) != (Era::Legacy, Era::Legacy) {
        return None;
    }
    let raw = greeting.capability(name).filter(|raw| raw.starts_with('{'))?;
    // And nor do tasks of the other era in this one.
    let both_modern = (client, greeting.era) == (Era::Modern, Era::Modern);
    let without = if name == "extensions" && !both_modern { cut(raw, EXTENSION) } else { None };
    Some(without.unwrap_or_else(|| raw.to_owned()))
}

/// What an earlier server says of a setting stays.
fn merge(all: &mut Map<String, Value>, more: Map<String, Value>) {
    for (key, value) in more {
        match (all.get_mut(&key), value) {
            (Some(Value::Object(there)), Value::Object(value)) => merge(there, value),
            (Some(_), _) => {}
            (None, value) => {
                all.insert(key, value);
            }
        }
    }
}

/// Whether every server of the profile has said what it can do.
fn is_known(profile: &EffectiveProfile, view: &View) -> bool {
    view.greetings.len() == profile.servers().len()
}

/// Whether a server declares the extension, or is not known yet.
pub(super) fn may_have_extension(profile: &EffectiveProfile, view: &View, extension: &'static str) -> bool {
    !is_known(profile, view) || view.greetings.iter().any(|(_, greeting)| greeting.has_extension(extension))
}

/// Whether a server tells of changes of single resources.
fn subscribes(greeting: &Greeting) -> bool {
    let resources = greeting.capability("resources");
    let subscribe = resources.and_then(|raw| Fields::find(raw, ["subscribe"]).ok()?.raw(0));
    subscribe == Some("true")
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use trunkline_model::ServerName;

    use super::*;

    fn view(servers: &[(Era, &'static str)]) -> View {
        let mut view = View::default();
        for (index, (era, capabilities)) in servers.iter().enumerate() {
            let greeting = Greeting {
                era: *era,
                protocol_version: String::new(),
                capabilities: Bytes::from_static(capabilities.as_bytes()),
                server_info: None,
                instructions: None,
            };
            view.greetings.push((ServerName::new(&format!("s{index}")).unwrap(), greeting.into()));
        }
        view
    }

    #[test]
    fn one_servers_extensions_are_told_as_it_wrote_them() {
        let one = view(&[(
            Era::Modern,
            r#"{"extensions":{ "x/y":{"a":1e2},"io.modelcontextprotocol/tasks":{}},"tasks":{}}"#,
        )]);
        let all = r#"{ "x/y":{"a":1e2},"io.modelcontextprotocol/tasks":{}}"#;
        assert_eq!(together("extensions", Era::Modern, &one).as_deref(), Some(all));
        assert_eq!(together("extensions", Era::Legacy, &one).as_deref(), Some(r#"{ "x/y":{"a":1e2}}"#));
        assert_eq!(together("tasks", Era::Legacy, &one), None, "of the other era");
        assert_eq!(together("experimental", Era::Legacy, &one), None);
    }

    #[test]
    fn several_servers_extensions_are_told_together() {
        let several = view(&[
            (Era::Modern, r#"{"extensions":{"s":{"of":"first"}}}"#),
            (Era::Legacy, r#"{"tasks":{"list":{},"requests":{"tools":{"call":{}}}}}"#),
            (Era::Modern, r#"{"extensions":{"s":{"of":"other","directoryRead":true},"u":{}}}"#),
            (Era::Legacy, r#"{"tasks":{"cancel":{}}}"#),
        ]);
        assert_eq!(
            together("extensions", Era::Modern, &several).unwrap(),
            r#"{"s":{"of":"first","directoryRead":true},"u":{}}"#
        );
        assert_eq!(
            together("tasks", Era::Legacy, &several).unwrap(),
            r#"{"list":{},"requests":{"tools":{"call":{}}},"cancel":{}}"#
        );
        assert_eq!(together("tasks", Era::Modern, &several), None);
    }
}
