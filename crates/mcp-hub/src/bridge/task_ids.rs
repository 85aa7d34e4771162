//! Task ids where they stand in messages: the hub's towards clients, the
//! server's own towards servers.

use std::ops::Range;

use crate::jsonrpc::{Fields, cut, splice, text};

/// The member of `_meta` that names a task in what belongs to it (2025-11-25,
/// basic/utilities/tasks, "associating task-related messages").
pub(crate) const RELATED: &str = "io.modelcontextprotocol/related-task";

/// The task that a raw `_meta` says it is related to.
pub(crate) fn related(members: &str) -> Option<String> {
    let related = Fields::find(members, [RELATED]).ok()?.raw(0)?;
    Fields::find(related, ["taskId"]).ok()?.string(0).ok()?.map(std::borrow::Cow::into_owned)
}

/// A result, or parameters, with the id `from` replaced where an id of a task
/// stands: `taskId`, `task.taskId`, and what `_meta` says it is related to.
/// None when it stands nowhere.
pub(crate) fn replaced(object: &str, from: &str, to: &str) -> Option<String> {
    let fields = Fields::find(object, ["taskId", "task", "_meta"]).ok()?;
    let mut places = Vec::with_capacity(2);
    places.extend(id_in(object, object, from));
    places.extend(fields.raw(1).and_then(|task| id_in(object, task, from)));
    let related = fields.raw(2).and_then(|members| Fields::find(members, [RELATED]).ok()?.raw(0));
    places.extend(related.and_then(|related| id_in(object, related, from)));
    if places.is_empty() {
        return None;
    }
    places.sort_by_key(|place| place.start);
    let to = text(to);
    let edits: Vec<_> = places.into_iter().map(|place| (place, to.as_str())).collect();
    Some(splice(object, &edits))
}

/// A result, or parameters, that no longer says what task it is related to:
/// for a client that knows of none. None when it says nothing of that.
pub(crate) fn unrelated(object: &str) -> Option<String> {
    let fields = Fields::find(object, ["_meta"]).ok()?;
    let (members, place) = (fields.raw(0)?, fields.range(0)?);
    let only = cut(members, RELATED)?;
    Some(splice(object, &[(place, &only)]))
}

/// Where `holder`, a part of `object`, has the id `from`.
fn id_in(object: &str, holder: &str, from: &str) -> Option<Range<usize>> {
    let fields = Fields::find(holder, ["taskId"]).ok()?;
    if fields.string(0).ok()?? != from {
        return None;
    }
    let start = fields.raw(0)?.as_ptr() as usize - object.as_ptr() as usize;
    Some(start..start + fields.raw(0)?.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_replaced_where_it_is_one_and_nowhere_else() {
        let object = r#"{ "taskId" : "a","x":"a","task":{"ttl":1e3,"taskId":"\u0061"},
            "_meta":{"io.modelcontextprotocol/related-task":{"taskId":"a"},"taskId":"a"}}"#;
        let expected = r#"{ "taskId" : "b\"","x":"a","task":{"ttl":1e3,"taskId":"b\""},
            "_meta":{"io.modelcontextprotocol/related-task":{"taskId":"b\""},"taskId":"a"}}"#;
        assert_eq!(replaced(object, "a", "b\"").unwrap(), expected);
        assert_eq!(replaced(object, "c", "b"), None);
    }

    #[test]
    fn who_knows_of_no_task_is_told_of_none() {
        let result =
            r#"{"content":[],"_meta":{"a":1, "io.modelcontextprotocol/related-task":{"taskId":"a"}}}"#;
        assert_eq!(unrelated(result).unwrap(), r#"{"content":[],"_meta":{"a":1}}"#);
        assert_eq!(unrelated(r#"{"_meta":{"a":1}}"#), None);
        assert_eq!(unrelated("{}"), None);
    }
}
