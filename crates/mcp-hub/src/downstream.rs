//! Downstream clients: the HTTP face of a profile's endpoint.
//!
//! `streamable` serves `/mcp/{profile}` in both eras, `legacy_sse` serves
//! `/mcp/{profile}/sse`. Both turn bytes into a [`crate::method::Request`],
//! hand it to [`crate::method::dispatch`] and frame the [`answer::Answer`].

pub(crate) mod answer;
pub(crate) mod entry;
pub(crate) mod events;
pub(crate) mod kept;
pub(crate) mod legacy_sse;
pub(crate) mod modern;
pub(crate) mod session;
pub(crate) mod session_stream;
pub(crate) mod streamable;
pub(crate) mod streams;
pub(crate) mod subscriber;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;

use crate::Hub;

/// The endpoints of all profiles.
pub fn router(hub: Arc<Hub>) -> Router {
    Router::new()
        .route(
            "/mcp/{profile}",
            get(streamable::get)
                .post(streamable::post)
                .delete(streamable::delete)
                // Without this HEAD is a GET, which opens a stream.
                .head(streamable::other)
                .fallback(streamable::other),
        )
        .route(
            "/mcp/{profile}/sse",
            get(legacy_sse::get).post(legacy_sse::post).head(legacy_sse::other).fallback(legacy_sse::other),
        )
        .with_state(hub)
}
