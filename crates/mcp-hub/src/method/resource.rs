//! `resources/read` (2026-07-28 and 2025-11-25, server/resources).

use std::ops::Range;
use std::sync::Arc;

use trunkline_model::Reason;
use trunkline_profiles::Kind;

use super::forward::{self, Destination};
use super::task::Role;
use super::{Request, invalid};
use crate::catalog::resources::ResourceTarget;
use crate::downstream::answer::{Answer, RpcError};

pub(super) async fn read(request: &Arc<Request>) -> Answer {
    match named(request) {
        Ok((uri, place)) => {
            let target = request.hub.resource(request, &uri).await;
            read_at(request, uri, place, target).await
        }
        Err(error) => request.refuse(Reason::BadRequest, None, &error),
    }
}

/// The URI that a request is about, and where it stands.
pub(super) fn named(request: &Request) -> Result<(String, Option<Range<usize>>), RpcError> {
    let fields = request.fields(["uri", "_meta"])?;
    let uri = fields.string(0).map_err(|fault| invalid(fault.to_string()))?;
    let method = request.message.method().unwrap_or_default();
    let uri = uri.ok_or_else(|| invalid(format!("{method} needs the resource's \"uri\"")))?;
    Ok((uri.into_owned(), fields.range(0)))
}

/// Asks the server that has the resource, if there is one.
pub(super) async fn read_at(
    request: &Arc<Request>,
    uri: String,
    place: Option<Range<usize>>,
    target: Option<ResourceTarget>,
) -> Answer {
    match target {
        Some(target) => {
            let destination = Destination {
                kind: Kind::Resource,
                server: target.server,
                own: target.uri,
                shown: uri,
                place,
                back: None,
                target: None,
                task: Role::None,
            };
            forward::forward(request, destination).await
        }
        None => {
            let error = forward::not_found(Kind::Resource, &uri, request.era);
            request.refuse(Reason::NotInProfile, Some(uri), &error)
        }
    }
}
