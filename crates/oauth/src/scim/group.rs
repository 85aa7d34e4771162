//! `/scim/v2/Groups`.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde_json::{Map, Value, json};
use trunkline_model::UserId;
use trunkline_storage::DirectoryGroup;
use uuid::Uuid;

use super::Scim;
use super::body::{Document, member, scim_json};
use super::error::ScimError;
use super::list::{Asked, values_of};
use super::patch::Patch;

const SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";

type Answer = Result<Response, ScimError>;

/// `GET /scim/v2/Groups`
pub(super) async fn list(State(scim): State<Arc<Scim>>, Query(asked): Query<Asked>) -> Answer {
    let groups = scim.store.users().directory_groups().await?;
    let resources = groups.iter().map(|group| scim.group(group)).collect();
    Ok(scim_json(StatusCode::OK, &asked.page(resources)?))
}

/// `GET /scim/v2/Groups/{id}`
pub(super) async fn show(
    State(scim): State<Arc<Scim>>,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Answer {
    let group = scim.group_named(&id).await?;
    Ok(scim_json(StatusCode::OK, &asked.without_excluded(scim.group(&group))))
}

/// `POST /scim/v2/Groups`
pub(super) async fn create(State(scim): State<Arc<Scim>>, Document(document): Document) -> Answer {
    let now = scim.now();
    // The form of other ids: a UUID of version 7.
    let id = crate::login::new_team_id(now).as_uuid();
    let group = scim.said(
        &document,
        &DirectoryGroup { id, name: String::new(), external_id: None, created_at: now, members: Vec::new() },
    )?;
    scim.put(&group).await?;
    let location = scim.location("Groups", &id.to_string());
    Ok(([(http::header::LOCATION, location)], scim_json(StatusCode::CREATED, &scim.group(&group)))
        .into_response())
}

/// `PUT /scim/v2/Groups/{id}`
pub(super) async fn replace(
    State(scim): State<Arc<Scim>>,
    Path(id): Path<String>,
    Document(document): Document,
) -> Answer {
    let group = scim.said(&document, &scim.group_named(&id).await?)?;
    scim.put(&group).await?;
    Ok(scim_json(StatusCode::OK, &scim.group(&group)))
}

/// `PATCH /scim/v2/Groups/{id}`
pub(super) async fn change(
    State(scim): State<Arc<Scim>>,
    Path(id): Path<String>,
    Document(patch): Document,
) -> Answer {
    let before = scim.group_named(&id).await?;
    let Value::Object(mut document) = scim.group(&before) else { return Err(ScimError::NotFound) };
    Patch::read(patch)?.apply(&mut document)?;
    scim.put(&scim.said(&document, &before)?).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// `DELETE /scim/v2/Groups/{id}`
pub(super) async fn delete(State(scim): State<Arc<Scim>>, Path(id): Path<String>) -> Answer {
    let id: Uuid = id.parse().map_err(|_| ScimError::NotFound)?;
    if !scim.store.users().delete_directory_group(id).await? {
        return Err(ScimError::NotFound);
    }
    scim.take_over().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

impl Scim {
    async fn group_named(&self, id: &str) -> Result<DirectoryGroup, ScimError> {
        let id: Uuid = id.parse().map_err(|_| ScimError::NotFound)?;
        let groups = self.store.users().directory_groups().await?;
        groups.into_iter().find(|group| group.id == id).ok_or(ScimError::NotFound)
    }

    fn group(&self, group: &DirectoryGroup) -> Value {
        let id = group.id.to_string();
        let member = |id: &UserId| {
            let user = self.people.user(*id);
            json!({
                "value": id.to_string(),
                "display": user.map(|user| user.name.clone()),
                "$ref": self.location("Users", &id.to_string()),
            })
        };
        let mut resource = json!({
            "schemas": [SCHEMA],
            "id": id,
            "displayName": group.name,
            "members": group.members.iter().map(member).collect::<Vec<_>>(),
            "meta": { "resourceType": "Group", "created": group.created_at.to_string(), "location": self.location("Groups", &id) },
        });
        if let Some(external_id) = &group.external_id {
            resource["externalId"] = external_id.as_str().into();
        }
        resource
    }

    /// The group as a document has it.
    fn said(
        &self,
        document: &Map<String, Value>,
        group: &DirectoryGroup,
    ) -> Result<DirectoryGroup, ScimError> {
        let text = |name| {
            member(document, name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
        };
        let name = text("displayName").filter(|name| name.len() <= 500);
        let name =
            name.ok_or_else(|| ScimError::InvalidValue("displayName is missing, or too long".to_owned()))?;
        let mut members = BTreeSet::new();
        for id in values_of(document, "members") {
            let known = id.parse().ok().filter(|id| self.people.user(*id).is_some());
            let stranger = || {
                ScimError::InvalidValue(format!(
                    "no user here has the id {:?}",
                    id.chars().take(80).collect::<String>()
                ))
            };
            members.insert(known.ok_or_else(stranger)?);
        }
        Ok(DirectoryGroup {
            name: name.to_owned(),
            external_id: text("externalId").map(ToOwned::to_owned),
            members: members.into_iter().collect(),
            id: group.id,
            created_at: group.created_at,
        })
    }

    async fn put(&self, group: &DirectoryGroup) -> Result<(), ScimError> {
        if !self.store.users().put_directory_group(group).await? {
            return Err(ScimError::Taken("another group has that displayName"));
        }
        self.take_over().await
    }
}
