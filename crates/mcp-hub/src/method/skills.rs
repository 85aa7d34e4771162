//! The skills extension (SEP-2640): `skills/list`, answered from the
//! catalogue, and `skills/get` and `resources/directory/read`, which go to the
//! server that has the resource.

use std::sync::Arc;

use super::{Request, capability, list, resource, unknown_method};
use crate::catalog::{ListKind, SKILLS};
use crate::downstream::answer::Answer;

pub(super) async fn answer(request: &Arc<Request>, method: &str) -> Answer {
    let view = request.hub.listed_view(request).await;
    if !capability::may_have_extension(&request.profile, &view, SKILLS) {
        return unknown_method(request, method);
    }
    match method {
        "skills/list" => list::answer(request, ListKind::Skills).await,
        _ => resource::read(request).await,
    }
}
