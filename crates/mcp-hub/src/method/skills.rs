//! The skills extension (SEP-2640): `skills/list`, answered from the
//! catalogue, and `skills/get` and `resources/directory/read`, which go to the
//! server that has the resource.

use std::sync::Arc;

use trunkline_model::{Reason, ServerName};

use super::{Request, capability, list, resource, unknown_method};
use crate::catalog::resources::ResourceTarget;
use crate::catalog::view::View;
use crate::catalog::{ListKind, SKILLS};
use crate::downstream::answer::Answer;

pub(super) async fn answer(request: &Arc<Request>, method: &str) -> Answer {
    let view = request.hub.listed_view(request).await;
    if !capability::may_have_extension(&request.profile, &view, SKILLS) {
        return unknown_method(request, method);
    }
    if method == "skills/list" {
        return list::answer(request, ListKind::Skills).await;
    }
    match resource::named(request) {
        Ok((uri, place)) => {
            let target = target(request, &view, &uri).await;
            resource::read_at(request, uri, place, target).await
        }
        Err(error) => request.refuse(Reason::BadRequest, None, &error),
    }
}

/// The server that has the resource, if it serves skills: another one may
/// list it without calling it a skill. What nobody lists is the only one's.
async fn target(request: &Request, view: &View, uri: &str) -> Option<ResourceTarget> {
    let serving: Vec<&ServerName> = view
        .greetings
        .iter()
        .filter(|(_, greeting)| greeting.has_extension(SKILLS))
        .map(|(server, _)| server)
        .collect();
    let found = request.hub.resource(request, uri).await;
    match (found, serving.as_slice()) {
        (Some(found), _) if serving.contains(&&found.server) => Some(found),
        (found, [only])
            if !view.lists_resource(uri) && found.as_ref().is_none_or(|found| found.uri == uri) =>
        {
            Some(ResourceTarget { server: (*only).clone(), uri: uri.to_owned() })
        }
        _ => None,
    }
}
