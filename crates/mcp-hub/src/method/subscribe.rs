//! `resources/subscribe` and `resources/unsubscribe` (2025-11-25,
//! server/resources), and their like in `subscriptions/listen` (2026-07-28).

use std::sync::Arc;

use trunkline_model::{Outcome, Reason};
use trunkline_profiles::Kind;

use super::forward::{not_found, upstream_error};
use super::{Request, audit_unavailable, conclude, invalid, resource};
use crate::catalog::resources::ResourceTarget;
use crate::downstream::answer::{Answer, RpcError, error_message};
use crate::downstream::subscriber::Subscriber;
use crate::hub::NotSubscribed;

/// Answers `resources/subscribe`.
pub(super) async fn subscribe(request: &Arc<Request>) -> Answer {
    let uri = match uri_of(request) {
        Ok(uri) => uri,
        Err(error) => return request.refuse(Reason::BadRequest, None, &error),
    };
    let Some(session) = request.session.clone() else {
        let error = invalid("a subscription needs a session; begin with initialize");
        return request.refuse(Reason::BadRequest, Some(uri), &error);
    };
    let Some(target) = request.hub.resource(request, &uri).await else {
        let error = not_found(Kind::Resource, &uri, request.era);
        return request.refuse(Reason::NotInProfile, Some(uri), &error);
    };
    subscribe_to(request, target, &uri, &session.subscriber).await
}

/// Answers `resources/unsubscribe`. What was not subscribed to is ended as well.
pub(super) fn unsubscribe(request: &Request) -> Answer {
    match uri_of(request) {
        Ok(uri) => {
            if let Some(session) = &request.session {
                request.hub.unsubscribe(&session.subscriber, Some(&uri));
            }
            Answer::result(request.id(), &b"{}"[..])
        }
        Err(error) => request.refuse(Reason::BadRequest, None, &error),
    }
}

/// Asks the one door, then the server.
pub(super) async fn subscribe_to(
    request: &Arc<Request>,
    target: ResourceTarget,
    shown: &str,
    subscriber: &Arc<Subscriber>,
) -> Answer {
    let action = request.action(Some(target.server.clone()), Some(target.uri.clone()));
    let permit = match request.hub.guard.admit(
        &request.caller,
        &request.profile,
        request.asked(Kind::Resource, action),
    ) {
        Ok(permit) => permit,
        Err(refusal) => {
            let error = match refusal.record() {
                Ok(()) => not_found(Kind::Resource, shown, request.era),
                Err(_) => audit_unavailable(),
            };
            return error.answer(Some(request.id()));
        }
    };
    let connected = request.hub.connection(&target.server, request).await;
    let subscribed = match connected {
        Ok((key, _)) => request.hub.subscribe(key, target.uri, shown.to_owned(), subscriber).await,
        Err(error) => Err(NotSubscribed::Failed(error)),
    };
    let (outcome, answer) = match subscribed {
        Ok(()) => (Outcome::Ok, Answer::result(request.id(), &b"{}"[..])),
        Err(NotSubscribed::Refused(message)) => {
            let code = conclude::code_of(&message);
            let error = message.payload_bytes().unwrap_or_default();
            (Outcome::Error { code }, Answer::ok(error_message(request.id(), error)))
        }
        Err(NotSubscribed::Failed(error)) => {
            let outcome = Outcome::Unreachable { detail: error.to_string() };
            (outcome, upstream_error(&target.server, &error).answer(Some(request.id())))
        }
    };
    match permit.settle(outcome, 0) {
        Ok(()) => answer,
        Err(_) => audit_unavailable().answer(Some(request.id())),
    }
}

fn uri_of(request: &Request) -> Result<String, RpcError> {
    resource::named(request).map(|(uri, _)| uri)
}
