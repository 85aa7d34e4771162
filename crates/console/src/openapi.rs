//! `/api/openapi.json`: the routes of the admin API as OpenAPI 3.1, made of
//! the table that the router is made of.

use axum::Json;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};

use crate::{Needs, routes};

/// `GET /api/openapi.json`
pub(crate) async fn document() -> Response {
    let mut paths = Map::new();
    for route in routes() {
        let operations = paths.entry(route.path.replace("{*", "{")).or_insert_with(|| json!({}));
        let operation = json!({
            "summary": route.summary,
            "description": format!("Needs the role {} or a higher one.", route.needs.least_role()),
            "x-needs": name_of(route.needs),
            "parameters": parameters(route.path),
            "responses": { "default": { "description": "An answer, or problem+json (RFC 9457) that says what to do." } },
        });
        operations[route.method.as_str().to_ascii_lowercase()] = operation;
    }
    let document = json!({
        "openapi": "3.1.0",
        "info": { "title": "Trunkline admin API", "version": env!("CARGO_PKG_VERSION") },
        "security": [{ "session": [] }, { "token": [] }],
        "components": { "securitySchemes": { "session": { "type": "apiKey", "in": "cookie", "name": "trunkline_session" },
            // RFC 8707: its `resource` is the URL of this API.
            "token": { "type": "http", "scheme": "bearer", "bearerFormat": "access token of this hub for `/api/v1`" },
        } },
        "paths": paths,
    });
    std::future::ready(Json(document).into_response()).await
}

fn name_of(needs: Needs) -> &'static str {
    match needs {
        Needs::SignedIn => "signed_in",
        Needs::Read => "read",
        Needs::Operate => "operate",
        Needs::Administer => "administer",
    }
}

fn parameters(path: &str) -> Vec<Value> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')?.trim_start_matches('*').into())
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect()
}
