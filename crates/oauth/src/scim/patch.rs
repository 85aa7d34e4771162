//! PATCH (RFC 7644 section 3.5.2), on the JSON of a resource.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::body::key_of;
use super::error::ScimError;
use super::filter::Filter;

const CORE: [&str; 2] =
    ["urn:ietf:params:scim:schemas:core:2.0:User:", "urn:ietf:params:scim:schemas:core:2.0:Group:"];
/// More operations than any directory sends at once.
const MOST: usize = 1000;

#[derive(Debug, Deserialize)]
pub(super) struct Patch {
    #[serde(rename = "Operations", alias = "operations")]
    operations: Vec<Operation>,
}

#[derive(Debug, Deserialize)]
struct Operation {
    op: String,
    path: Option<String>,
    value: Option<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Add,
    Replace,
    Remove,
}

/// `attribute[filter].sub`.
struct Path<'a> {
    attribute: &'a str,
    filter: Option<Filter>,
    sub: Option<&'a str>,
}

impl Patch {
    pub(super) fn read(document: Map<String, Value>) -> Result<Self, ScimError> {
        serde_json::from_value(Value::Object(document)).map_err(|_| ScimError::InvalidSyntax)
    }

    /// Changes `resource`, in the order of the operations.
    pub(super) fn apply(self, resource: &mut Map<String, Value>) -> Result<(), ScimError> {
        if self.operations.len() > MOST {
            return Err(ScimError::InvalidValue(format!("more than {MOST} operations")));
        }
        for operation in self.operations {
            // Entra writes `Add`.
            let kind = match operation.op.to_ascii_lowercase().as_str() {
                "add" => Kind::Add,
                "replace" => Kind::Replace,
                "remove" => Kind::Remove,
                _ => return Err(ScimError::InvalidSyntax),
            };
            match (operation.path.as_deref().filter(|path| !path.is_empty()), operation.value) {
                (Some(path), value) => at(kind, path, value, resource)?,
                (None, Some(Value::Object(values))) if kind != Kind::Remove => {
                    for (path, value) in values {
                        at(kind, &path, Some(value), resource)?;
                    }
                }
                (None, _) => {
                    return Err(ScimError::InvalidValue("there is neither a path nor an object".to_owned()));
                }
            }
        }
        Ok(())
    }
}

fn at(
    kind: Kind,
    path: &str,
    value: Option<Value>,
    resource: &mut Map<String, Value>,
) -> Result<(), ScimError> {
    let path = Path::parse(path)?;
    let key = key_of(resource, path.attribute);
    if let Some(filter) = &path.filter {
        return at_elements(
            kind,
            filter,
            path.sub,
            value.as_ref(),
            resource.entry(key).or_insert_with(|| Value::Array(Vec::new())),
        );
    }
    match path.sub {
        Some(sub) => {
            let object = resource.entry(key).or_insert_with(|| Value::Object(Map::new()));
            let Value::Object(object) = object else {
                return Err(ScimError::InvalidPath(format!("{} has no parts", path.attribute)));
            };
            let sub = key_of(object, sub);
            set(kind, sub, value, object)
        }
        None => set(kind, key, value, resource),
    }
}

fn set(
    kind: Kind,
    key: String,
    value: Option<Value>,
    object: &mut Map<String, Value>,
) -> Result<(), ScimError> {
    let missing = || ScimError::InvalidValue("the value is missing".to_owned());
    match (kind, object.get_mut(&key), value) {
        // Entra names the members that go as a value.
        (Kind::Remove, Some(Value::Array(held)), Some(Value::Array(gone))) => {
            held.retain(|item| !gone.iter().any(|other| is_same_element(item, other)));
        }
        (Kind::Remove, _, _) => {
            object.remove(&key);
        }
        (Kind::Add, Some(Value::Array(held)), Some(value)) => {
            let new = match value {
                Value::Array(items) => items,
                one => vec![one],
            };
            for item in new {
                if !held.iter().any(|other| is_same_element(&item, other)) {
                    held.push(item);
                }
            }
        }
        (Kind::Add | Kind::Replace, _, Some(value)) => {
            object.insert(key, value);
        }
        (Kind::Add | Kind::Replace, _, None) => return Err(missing()),
    }
    Ok(())
}

/// `members[value eq "…"]`, `emails[type eq "work"].value`.
fn at_elements(
    kind: Kind,
    filter: &Filter,
    sub: Option<&str>,
    value: Option<&Value>,
    elements: &mut Value,
) -> Result<(), ScimError> {
    let Value::Array(elements) = elements else {
        return Err(ScimError::InvalidPath("a filter stands at something that is no list".to_owned()));
    };
    let fits = |item: &Value| item.as_object().is_some_and(|item| filter.fits(item));
    if kind == Kind::Remove && sub.is_none() {
        elements.retain(|item| !fits(item));
        return Ok(());
    }
    if kind != Kind::Remove && !elements.iter().any(fits) {
        elements.push(Value::Object(filter.as_element()));
    }
    for element in elements.iter_mut().filter(|item| fits(item)) {
        let Value::Object(element) = element else { continue };
        match (sub, value) {
            (Some(sub), value) => set(kind, key_of(element, sub), value.cloned(), element)?,
            (None, Some(Value::Object(values))) => element.extend(values.clone()),
            (None, _) => return Err(ScimError::InvalidValue("an element is an object".to_owned())),
        }
    }
    Ok(())
}

fn is_same_element(one: &Value, other: &Value) -> bool {
    match (one.get("value"), other.get("value")) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

impl<'a> Path<'a> {
    fn parse(text: &'a str) -> Result<Self, ScimError> {
        let text = CORE.iter().find_map(|core| text.strip_prefix(core)).unwrap_or(text);
        let invalid = || {
            ScimError::InvalidPath(format!("{:?} is not a path", text.chars().take(80).collect::<String>()))
        };
        if let Some((attribute, rest)) = text.split_once('[') {
            let (filter, sub) = rest.rsplit_once(']').ok_or_else(invalid)?;
            let sub = match sub {
                "" => None,
                sub => Some(sub.strip_prefix('.').ok_or_else(invalid)?),
            };
            return Ok(Self { attribute, filter: Some(Filter::parse(filter)?), sub });
        }
        // An extension's name has dots and colons itself.
        if let Some((urn, attribute)) = text.strip_prefix("urn:").and_then(|_| text.rsplit_once(':')) {
            return Ok(Self { attribute: urn, filter: None, sub: Some(attribute) });
        }
        let (attribute, sub) = match text.split_once('.') {
            Some((attribute, sub)) => (attribute, Some(sub)),
            None => (text, None),
        };
        if attribute.is_empty() || sub.is_some_and(str::is_empty) {
            return Err(invalid());
        }
        Ok(Self { attribute, filter: None, sub })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(resource: Value, operations: &Value) -> Result<Value, ScimError> {
        let (Value::Object(mut resource), Value::Object(patch)) =
            (resource, json!({"schemas": [], "Operations": operations}))
        else {
            return Err(ScimError::InvalidSyntax);
        };
        Patch::read(patch)?.apply(&mut resource)?;
        Ok(Value::Object(resource))
    }

    #[test]
    fn what_okta_sends() {
        let user = json!({"userName": "ann", "active": true});
        let off = patched(user, &json!([{"op": "replace", "value": {"active": false}}])).expect("patched");
        assert_eq!(off["active"], json!(false));
        let group = json!({"displayName": "eng", "members": [{"value": "1"}]});
        let changed = patched(
            group,
            &json!([
                {"op": "add", "path": "members", "value": [{"value": "2", "display": "Bob"}, {"value": "1"}]},
                {"op": "remove", "path": "members[value eq \"1\"]"},
                {"op": "replace", "value": {"id": "x", "displayName": "Engineering"}},
            ]),
        )
        .expect("patched");
        assert_eq!(changed["members"], json!([{"value": "2", "display": "Bob"}]));
        assert_eq!(changed["displayName"], "Engineering");
    }

    #[test]
    fn what_entra_sends() {
        let user = json!({"userName": "ann", "active": true, "emails": [{"type": "work", "value": "old"}]});
        let changed = patched(user, &json!([
            {"op": "Replace", "path": "active", "value": "False"},
            {"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "new"},
            {"op": "Add", "path": "phoneNumbers[type eq \"mobile\"].value", "value": "1"},
            {"op": "Add", "path": "name.givenName", "value": "Ann"},
            {"op": "Add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department", "value": "R&D"},
            {"op": "Replace", "value": {"name.familyName": "Lee", "displayName": "Ann Lee"}},
        ])).expect("patched");
        assert_eq!(
            changed,
            json!({
                "userName": "ann", "active": "False",
                "emails": [{"type": "work", "value": "new"}],
                "phoneNumbers": [{"type": "mobile", "value": "1"}],
                "name": {"givenName": "Ann", "familyName": "Lee"},
                "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "R&D"},
                "displayName": "Ann Lee",
            })
        );
        let group = json!({"members": [{"value": "1"}, {"value": "2"}]});
        let removed =
            patched(group, &json!([{"op": "Remove", "path": "members", "value": [{"value": "1"}]}]));
        assert_eq!(removed.expect("patched")["members"], json!([{"value": "2"}]));
    }

    #[test]
    fn what_cannot_be_done_is_refused() {
        for operations in [
            json!([{"op": "move", "path": "a"}]),
            json!([{"op": "replace", "path": "a"}]),
            json!([{"op": "remove"}]),
            json!([{"op": "add", "path": "members[value", "value": 1}]),
            json!([{"op": "add", "path": "userName[a eq 1].b", "value": 1}]),
            json!([{"op": "add", "path": ".", "value": 1}]),
            json!("x"),
        ] {
            assert!(patched(json!({"userName": "ann"}), &operations).is_err(), "{operations}");
        }
    }
}
