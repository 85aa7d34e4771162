//! What this server can do (RFC 7644 section 4).

use axum::response::Response;
use http::StatusCode;
use serde_json::{Value, json};

use super::body::scim_json;

/// `GET /scim/v2/ServiceProviderConfig`
pub(super) async fn service_provider() -> Response {
    let not = json!({ "supported": false });
    answer(json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "patch": { "supported": true },
        "bulk": { "supported": false, "maxOperations": 0, "maxPayloadSize": 0 },
        "filter": { "supported": true, "maxResults": 200 },
        "changePassword": not, "sort": not, "etag": not,
        "authenticationSchemes": [{
            "type": "oauthbearertoken", "name": "Bearer token",
            "description": "The token that `trunkline login scim-token` prints",
        }],
    }))
    .await
}

/// `GET /scim/v2/ResourceTypes`
pub(super) async fn resource_types() -> Response {
    let kind = |name: &str, endpoint: &str| {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
            "id": name, "name": name, "endpoint": endpoint,
            "schema": format!("urn:ietf:params:scim:schemas:core:2.0:{name}"),
        })
    };
    answer(list(&[kind("User", "/Users"), kind("Group", "/Groups")])).await
}

/// `GET /scim/v2/Schemas`: the attributes that have a meaning here; others of
/// users are kept and returned.
pub(super) async fn schemas() -> Response {
    let attribute = |name: &str, kind: &str, required: bool| {
        json!({
            "name": name, "type": kind, "multiValued": false, "required": required, "caseExact": false,
            "mutability": "readWrite", "returned": "default",
            "uniqueness": if required { "server" } else { "none" },
        })
    };
    let schema = |name: &str, attributes: Vec<Value>| {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
            "id": format!("urn:ietf:params:scim:schemas:core:2.0:{name}"),
            "name": name, "attributes": attributes,
        })
    };
    let mut members = attribute("members", "complex", false);
    members["multiValued"] = true.into();
    let user = vec![
        attribute("userName", "string", true),
        attribute("displayName", "string", false),
        attribute("externalId", "string", false),
        attribute("active", "boolean", false),
    ];
    let group = vec![attribute("displayName", "string", true), members];
    answer(list(&[schema("User", user), schema("Group", group)])).await
}

fn list(resources: &[Value]) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": resources.len(), "startIndex": 1, "itemsPerPage": resources.len(),
        "Resources": resources,
    })
}

async fn answer(body: Value) -> Response {
    std::future::ready(scim_json(StatusCode::OK, &body)).await
}
