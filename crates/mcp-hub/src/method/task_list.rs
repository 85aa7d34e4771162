//! `tasks/list` (2025-11-25, basic/utilities/tasks): the tasks that the caller
//! has begun here, as their servers list them. A server may list others too,
//! which are none of the caller's business.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use serde_json::value::RawValue;
use trunkline_model::{Outcome, Reason};
use trunkline_profiles::{Kind, Permit};

use super::{Request, audit_unavailable, conclude, invalid, task};
use crate::bridge::task_ids;
use crate::downstream::answer::Answer;
use crate::jsonrpc::{self, Fields, Message};
use crate::upstream::{self, InstanceKey, Outgoing, UpstreamError};

/// Pages that one server is asked for.
const MOST_PAGES: usize = 20;

/// The ids that the caller knows, by the server's own.
type Ids = HashMap<String, Arc<str>>;

pub(super) async fn answer(request: &Arc<Request>) -> Answer {
    match request.fields(["cursor"]) {
        Ok(fields) if fields.raw(0).is_none() => {}
        // All there is stands on the first page.
        Ok(_) => return request.refuse(Reason::BadRequest, None, &invalid("the cursor is unknown")),
        Err(error) => return request.refuse(Reason::BadRequest, None, &error),
    }
    let mut lists = Vec::new();
    for (key, mut ids) in request.hub.live_tasks.listable(&request.caller) {
        ids.retain(|_, id| is_shown(request, id));
        let action = request.action(Some(key.server.clone()), None);
        if ids.is_empty() {
            continue;
        }
        match request.hub.guard.admit(&request.caller, &request.profile, request.asked(Kind::Server, action))
        {
            Ok(permit) => lists.push(list(request, key, ids, permit)),
            // The profile no longer has the server: nor has it the tasks.
            Err(refusal) => {
                if refusal.record().is_err() {
                    return audit_unavailable().answer(Some(request.id()));
                }
            }
        }
    }
    let mut tasks = Vec::new();
    for listed in join_all(lists).await {
        match listed {
            Some(listed) => tasks.extend(listed),
            None => return audit_unavailable().answer(Some(request.id())),
        }
    }
    Answer::result(request.id(), Bytes::from(format!("{{\"tasks\":[{}]}}", tasks.join(","))))
}

/// Whether the profile still shows the tool that became the task.
fn is_shown(request: &Request, id: &str) -> bool {
    let about = task::find(request, id);
    about.is_some_and(|about| request.profile.admits_tool(&about.ticket.server, &about.ticket.tool))
}

/// One instance's part; empty when it cannot be asked. None when the trail
/// cannot be written.
async fn list(request: &Request, key: Arc<InstanceKey>, ids: Ids, permit: Permit) -> Option<Vec<String>> {
    let asking = pages(request, &key, &ids, &permit);
    let (outcome, tasks) = match upstream::within(request.hub.call_timeout(&key.server), asking).await {
        Ok(Ok(tasks)) => (Outcome::Ok, tasks),
        Ok(Err(code)) => (Outcome::Error { code }, Vec::new()),
        Err(error) => (Outcome::Unreachable { detail: error.to_string() }, Vec::new()),
    };
    let bytes = tasks.iter().map(|task| task.len() as u64).sum();
    permit.settle(outcome, bytes).ok().map(|()| tasks)
}

/// All pages of one instance, or the code of the error that it answered with.
async fn pages(
    request: &Request,
    key: &InstanceKey,
    ids: &Ids,
    permit: &Permit,
) -> Result<Result<Vec<String>, i64>, UpstreamError> {
    let lease = request.hub.upstreams.connection(key).await?;
    let mut tasks = Vec::new();
    let mut cursor: Option<String> = None;
    for _ in 0..MOST_PAGES {
        let message = lease.call(permit, page(cursor.as_deref())).await?.into_answer().await?;
        if message.kind() == jsonrpc::Kind::Error {
            return Ok(Err(conclude::code_of(&message)));
        }
        cursor = take(&message, ids, &mut tasks);
        if cursor.is_none() || tasks.len() >= ids.len() {
            break;
        }
    }
    Ok(Ok(tasks))
}

fn page(cursor: Option<&str>) -> Outgoing {
    let id = upstream::next_id();
    let params = cursor.map(|cursor| format!("\"cursor\":{cursor}")).unwrap_or_default();
    let body =
        format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tasks/list\",\"params\":{{{params}}}}}");
    Outgoing { id, method: "tasks/list".to_owned(), body: body.into(), name: None, param_headers: Vec::new() }
}

/// Takes the caller's tasks of one page; gives the raw text of the next cursor.
fn take(message: &Message, ids: &Ids, tasks: &mut Vec<String>) -> Option<String> {
    let fields = Fields::find(message.payload()?, ["tasks", "nextCursor"]).ok()?;
    let listed: Vec<&RawValue> = serde_json::from_str(fields.raw(0)?).ok()?;
    let shown = |task: &RawValue| {
        let own = Fields::find(task.get(), ["taskId"]).ok()?.string(0).ok()??.into_owned();
        task_ids::replaced(task.get(), &own, ids.get(&own)?)
    };
    tasks.extend(listed.into_iter().filter_map(shown));
    fields.raw(1).filter(|cursor| !matches!(*cursor, "null" | "\"\"")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_page_the_callers_own_tasks_are_taken() {
        let page = r#"{"jsonrpc":"2.0","id":1,"result":{"tasks":[{"taskId":"a","x":1e2},{"taskId":"b"},7],"nextCursor":"n"}}"#;
        let message = Message::parse(Bytes::from_static(page.as_bytes())).unwrap();
        let ids = HashMap::from([("a".to_owned(), "hub".into())]);
        let mut tasks = Vec::new();
        assert_eq!(take(&message, &ids, &mut tasks).as_deref(), Some("\"n\""));
        assert_eq!(tasks, [r#"{"taskId":"hub","x":1e2}"#]);
    }
}
