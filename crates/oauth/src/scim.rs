//! SCIM 2.0 (RFC 7643, RFC 7644): a directory provisions users and groups.
//!
//! What Okta and Entra send: filters with `eq` and `and`, PATCH with paths
//! and without, text for booleans, pages. The directory acts as an
//! administrator does: it makes and disables users, and touches no owner.

mod body;
mod discovery;
mod error;
mod filter;
mod group;
mod list;
mod patch;
mod user;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::header;
use trunkline_model::{Clock, Timestamp};
use trunkline_storage::Store;
use url::Url;

use crate::keys::Form;
use crate::people::People;
use error::ScimError;

/// What the directory's names of users are kept under, and its groups.
pub(crate) const SOURCE: &str = "scim";

/// What the routes share.
#[derive(Debug)]
pub struct Scim {
    pub store: Arc<Store>,
    pub people: Arc<People>,
    pub clock: Arc<dyn Clock>,
    pub public_url: Url,
}

impl Scim {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn location(&self, kind: &str, id: &str) -> String {
        format!("{}/scim/v2/{kind}/{id}", self.public_url.as_str().trim_end_matches('/'))
    }

    /// Makes what was changed count here, at once.
    async fn take_over(&self) -> Result<(), ScimError> {
        Ok(self.people.catch_up().await?)
    }
}

/// The routes under `/scim/v2`, for whoever has the directory's token.
pub fn router(scim: Arc<Scim>) -> Router {
    Router::new()
        .route("/scim/v2/Users", get(user::list).post(user::create))
        .route(
            "/scim/v2/Users/{id}",
            get(user::show).put(user::replace).patch(user::change).delete(user::delete),
        )
        .route("/scim/v2/Groups", get(group::list).post(group::create))
        .route(
            "/scim/v2/Groups/{id}",
            get(group::show).put(group::replace).patch(group::change).delete(group::delete),
        )
        .route("/scim/v2/ServiceProviderConfig", get(discovery::service_provider))
        .route("/scim/v2/ResourceTypes", get(discovery::resource_types))
        .route("/scim/v2/Schemas", get(discovery::schemas))
        // Around every route: nobody else learns even which there are.
        .route_layer(from_fn_with_state(Arc::clone(&scim), admit))
        .with_state(scim)
}

async fn admit(State(scim): State<Arc<Scim>>, request: Request, next: Next) -> Response {
    let mut values = request.headers().get_all(header::AUTHORIZATION).iter();
    let (value, more) = (values.next(), values.next());
    let text = value.filter(|_| more.is_none()).and_then(|value| value.to_str().ok());
    let token = text
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    let hash = token.and_then(|(_, token)| Form::DIRECTORY.hash_if_well_formed(token.trim()));
    if hash.is_some_and(|hash| scim.people.is_directory(&hash)) {
        next.run(request).await
    } else {
        ScimError::NotADirectory.into_response()
    }
}
