//! `prompts/get` (2026-07-28 and 2025-11-25, server/prompts).

use std::sync::Arc;

use trunkline_model::Reason;
use trunkline_profiles::Kind;

use super::forward::{self, Destination};
use super::task::Role;
use super::{Request, invalid};
use crate::downstream::answer::Answer;

pub(super) async fn answer(request: &Arc<Request>) -> Answer {
    let found = request.fields(["name", "_meta", "arguments"]).and_then(|fields| {
        let name = fields.string(0).map_err(|fault| invalid(fault.to_string()))?;
        let name = name.ok_or_else(|| invalid("prompts/get needs the prompt's \"name\""))?;
        Ok((name.into_owned(), fields.range(0)))
    });
    let (name, place) = match found {
        Ok(found) => found,
        Err(error) => return request.refuse(Reason::BadRequest, None, &error),
    };
    match request.hub.prompt(request, &name).await {
        Some(target) => {
            let (server, own) = (target.server.clone(), target.own.clone());
            let destination = Destination {
                kind: Kind::Prompt,
                server,
                own,
                shown: name,
                place,
                back: None,
                target: None,
                task: Role::None,
            };
            forward::forward(request, destination).await
        }
        None => {
            let error = forward::not_found(Kind::Prompt, &name, request.era);
            request.refuse(Reason::NotInProfile, Some(name), &error)
        }
    }
}
