//! `completion/complete` (2026-07-28 and 2025-11-25, server/utilities/completion).

use std::sync::Arc;

use std::ops::Range;

use trunkline_model::Reason;
use trunkline_profiles::Kind;

use super::forward::{self, Destination};
use super::task::Role;
use super::{Request, invalid};
use crate::downstream::answer::{Answer, RpcError};
use crate::jsonrpc::Fields;

/// What is to be completed, and where its name stands in the parameters.
enum Reference {
    Prompt(String, Range<usize>),
    Resource(String, Range<usize>),
}

pub(super) async fn answer(request: &Arc<Request>) -> Answer {
    let reference = match reference(request) {
        Ok(reference) => reference,
        Err(error) => return request.refuse(Reason::BadRequest, None, &error),
    };
    let (kind, shown, place, target) = match reference {
        Reference::Prompt(name, place) => {
            let target = request
                .hub
                .prompt(request, &name)
                .await
                .map(|found| (found.server.clone(), found.own.clone()));
            (Kind::Prompt, name, place, target)
        }
        Reference::Resource(uri, place) => {
            let target = request.hub.resource(request, &uri).await.map(|found| (found.server, found.uri));
            (Kind::Resource, uri, place, target)
        }
    };
    match target {
        Some((server, own)) => {
            let place = Some(place);
            forward::forward(
                request,
                Destination { kind, server, own, shown, place, back: None, target: None, task: Role::None },
            )
            .await
        }
        None => {
            let error = forward::not_found(kind, &shown, request.era);
            request.refuse(Reason::NotInProfile, Some(shown), &error)
        }
    }
}

fn reference(request: &Request) -> Result<Reference, RpcError> {
    let fields = request.fields(["ref", "argument", "_meta"])?;
    let (Some(raw), Some(outer)) = (fields.raw(0), fields.range(0)) else {
        return Err(invalid("completion/complete needs a \"ref\""));
    };
    let inner = Fields::find(raw, ["type", "name", "uri"]).map_err(|fault| invalid(fault.to_string()))?;
    let member = |index: usize| -> Result<(String, Range<usize>), RpcError> {
        let value = inner.string(index).map_err(|fault| invalid(fault.to_string()))?;
        match (value, inner.range(index)) {
            (Some(value), Some(place)) => {
                Ok((value.into_owned(), outer.start + place.start..outer.start + place.end))
            }
            _ => Err(invalid("the \"ref\" lacks its \"name\" or \"uri\"")),
        }
    };
    match inner.raw(0) {
        Some("\"ref/prompt\"") => member(1).map(|(name, place)| Reference::Prompt(name, place)),
        Some("\"ref/resource\"") => member(2).map(|(uri, place)| Reference::Resource(uri, place)),
        _ => Err(invalid("\"ref\" must have the type ref/prompt or ref/resource")),
    }
}
