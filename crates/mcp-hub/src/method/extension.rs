//! Methods that the hub does not know (2026-07-28, extensions), of requests and
//! of notifications: they go to the one server that can be meant, as they are,
//! past the one door.

use std::sync::Arc;

use serde_json::value::RawValue;
use trunkline_model::{Outcome, Selection, ServerName, ToolFilter};
use trunkline_profiles::{Kind, Permit};

use super::forward::{self, Destination};
use super::task::Role;
use super::{Request, unknown_method};
use crate::catalog::view::{self, View};
use crate::downstream::answer::Answer;
use crate::upstream::{self, Greeting, UpstreamError};

/// What the protocol itself has names for, in either era: nothing of this is
/// an extension's, and nothing of it passes here.
const OF_PROTOCOL: [&str; 18] = [
    "initialize",
    "initialized",
    "cancelled",
    "progress",
    "message",
    "ping",
    "server",
    "tools",
    "prompts",
    "resources",
    "completion",
    "logging",
    "subscriptions",
    "tasks",
    "sampling",
    "elicitation",
    "roots",
    "notifications",
];

pub(super) async fn answer(request: &Arc<Request>, method: &str) -> Answer {
    let Some(server) = server_of(request, method).await else { return unknown_method(request, method) };
    let destination = Destination {
        kind: Kind::Server,
        server,
        own: method.to_owned(),
        shown: method.to_owned(),
        place: None,
        back: None,
        target: None,
        task: Role::None,
    };
    forward::forward(request, destination).await
}

/// Passes a notification that the hub does not know. What cannot be passed is
/// dropped, as JSON-RPC wants.
pub(super) async fn notify(request: &Request) {
    let method = request.message.method().unwrap_or_default();
    let named = method.strip_prefix("notifications/").unwrap_or(method);
    let Some(server) = server_of(request, named).await else { return };
    let action = request.action(Some(server.clone()), Some(method.to_owned()));
    let asked = request.asked(Kind::Server, action);
    let Ok(permit) = request.hub.guard.admit(&request.caller, &request.profile, asked) else { return };
    let patience = request.hub.call_timeout(&server);
    let outcome = match upstream::within(patience, send(request, &server, &permit)).await {
        Ok(()) => Outcome::Ok,
        Err(error) => Outcome::Unreachable { detail: error.to_string() },
    };
    // There is no answer that could be withheld.
    drop(permit.settle(outcome, 0));
}

/// Sends it as it is; in the other era it would mean nothing.
async fn send(request: &Request, server: &ServerName, permit: &Permit) -> Result<(), UpstreamError> {
    let (_, lease) = request.hub.connection(server, request).await?;
    if lease.greeting().era != request.era {
        let reason = "the server speaks the other era of the protocol".to_owned();
        return Err(UpstreamError::Unreachable { server: server.clone(), reason });
    }
    lease.notify(permit, request.message.bytes().clone()).await
}

/// The server that an unknown method is for. Nobody can say what such a method
/// reaches: where the profile shows a part of the server, none passes.
async fn server_of(request: &Request, method: &str) -> Option<ServerName> {
    if OF_PROTOCOL.contains(&first_word(method)) {
        return None;
    }
    let server = match the_one(request) {
        Some(server) => server,
        None => whose(&*request.hub.listed_view(request).await, method)?,
    };
    request.profile.selection(&server).is_some_and(shows_all).then_some(server)
}

fn first_word(method: &str) -> &str {
    method.split('/').next().unwrap_or_default()
}

/// The server that the profile shows exactly as it is.
fn the_one(request: &Request) -> Option<ServerName> {
    let (server, _) = request.profile.servers().next().filter(|_| view::is_transparent(&request.profile))?;
    Some(server.clone())
}

/// The one server that declares an extension of which the method can be.
fn whose(view: &View, method: &str) -> Option<ServerName> {
    let mut declaring = view.greetings.iter().filter(|(_, greeting)| declares_method(greeting, method));
    let (server, _) = declaring.next()?;
    declaring.next().is_none().then(|| server.clone())
}

/// Methods begin with the name of their extension: `vendor.example/reports`
/// has `reports/make`, or methods that begin with the whole of it.
fn declares_method(greeting: &Greeting, method: &str) -> bool {
    let extensions = greeting.capability("extensions").unwrap_or("{}");
    let extensions: std::collections::HashMap<String, Box<RawValue>> =
        serde_json::from_str(extensions).unwrap_or_default();
    extensions.keys().any(|extension| {
        let name = extension.rsplit('/').next().unwrap_or_default();
        let rest = method.strip_prefix(extension.as_str());
        first_word(method) == name || rest.is_some_and(|rest| rest.starts_with('/'))
    })
}

fn shows_all(selection: &Selection) -> bool {
    let nothing = ToolFilter::default();
    [&selection.tools, &selection.prompts, &selection.resources].into_iter().all(|filter| *filter == nothing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::Era;

    fn greeting(capabilities: &'static str) -> Arc<Greeting> {
        Arc::new(Greeting {
            era: Era::Modern,
            protocol_version: String::new(),
            capabilities: bytes::Bytes::from_static(capabilities.as_bytes()),
            server_info: None,
            instructions: None,
        })
    }

    #[test]
    fn a_method_is_of_the_one_server_that_declares_its_extension() {
        let server = |name| ServerName::new(name).unwrap();
        let mut view = View::default();
        view.greetings.push((server("a"), greeting(r#"{"extensions":{"vendor.example/reports":{}}}"#)));
        view.greetings.push((server("b"), greeting(r#"{"extensions":{"other.example/maps":{}}}"#)));
        view.greetings.push((server("c"), greeting(r#"{"extensions":{"third.example/maps":{}}}"#)));
        let whose = |method| whose(&view, method).map(|server| server.to_string());
        assert_eq!(whose("reports/make").as_deref(), Some("a"));
        assert_eq!(whose("vendor.example/reports/make").as_deref(), Some("a"));
        assert_eq!(whose("other.example/maps/draw").as_deref(), Some("b"));
        assert_eq!(whose("maps/draw"), None, "it could be of two");
        assert_eq!(whose("report/make"), None);
    }
}
