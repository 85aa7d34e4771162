//! `resources/read` (2026-07-28 and 2025-11-25, server/resources), and what
//! the skills extension asks of one resource: `skills/get` and
//! `resources/directory/read` (SEP-2640).

use std::sync::Arc;

use trunkline_model::Reason;
use trunkline_profiles::Kind;

use super::forward::{self, Destination};
use super::task::Role;
use super::{Request, invalid};
use crate::downstream::answer::Answer;

pub(super) async fn read(request: &Arc<Request>) -> Answer {
    let found = request.fields(["uri", "_meta"]).and_then(|fields| {
        let uri = fields.string(0).map_err(|fault| invalid(fault.to_string()))?;
        let method = request.message.method().unwrap_or_default();
        let uri = uri.ok_or_else(|| invalid(format!("{method} needs the resource's \"uri\"")))?;
        Ok((uri.into_owned(), fields.range(0)))
    });
    let (uri, place) = match found {
        Ok(found) => found,
        Err(error) => return request.refuse(Reason::BadRequest, None, &error),
    };
    match request.hub.resource(request, &uri).await {
        Some(target) => {
            let (server, own) = (target.server, target.uri);
            let destination = Destination {
                kind: Kind::Resource,
                server,
                own,
                shown: uri,
                place,
                state: None,
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
