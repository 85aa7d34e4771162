//! `/scim/v2/Users`.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use serde_json::{Map, Value, json};
use trunkline_model::{Role, User, UserId, UserKind};
use trunkline_storage::{Changed, Identity, UserChange};

use super::body::{Document, boolean, member, scim_json};
use super::error::ScimError;
use super::list::Asked;
use super::patch::Patch;
use super::{SOURCE, Scim};
use crate::login::new_user_id;

const SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// What has a place of its own, or is ours to say.
const OURS: [&str; 8] = ["schemas", "id", "externalid", "username", "active", "meta", "groups", "password"];
/// The directory acts as an administrator.
const ROLE: Role = Role::Admin;

type Answer = Result<Response, ScimError>;

/// What a document says of a user.
struct Said {
    login: String,
    name: String,
    external_id: Option<String>,
    active: bool,
    attributes: Map<String, Value>,
}

/// `GET /scim/v2/Users`
pub(super) async fn list(State(scim): State<Arc<Scim>>, Query(asked): Query<Asked>) -> Answer {
    let users = scim.store.users();
    let mut attributes: HashMap<UserId, String> = users.all_attributes().await?.into_iter().collect();
    let external: HashMap<UserId, String> = scim.external_ids().await?;
    let people = users.list().await?.into_iter().filter(|user| user.kind == UserKind::Person);
    let resources = people
        .map(|user| {
            let attributes = attributes.remove(&user.id);
            scim.resource(&user, attributes.as_deref(), external.get(&user.id))
        })
        .collect();
    Ok(scim_json(StatusCode::OK, &asked.page(resources)?))
}

/// `GET /scim/v2/Users/{id}`
pub(super) async fn show(State(scim): State<Arc<Scim>>, Path(id): Path<String>) -> Answer {
    let user = scim.find(&id).await?;
    Ok(scim_json(StatusCode::OK, &scim.shown(&user).await?))
}

/// `POST /scim/v2/Users`
pub(super) async fn create(State(scim): State<Arc<Scim>>, Document(document): Document) -> Answer {
    let said = Said::read(&document)?;
    let now = scim.now();
    let user = User {
        id: new_user_id(now),
        kind: UserKind::Person,
        login: said.login.clone(),
        name: said.name.clone(),
        role: Role::Member,
        created_at: now,
        disabled_at: (!said.active).then_some(now),
    };
    scim.check_external_id(user.id, said.external_id.as_deref()).await?;
    let (attributes, identity) = (said.attributes_text(), said.identity());
    if !scim.store.users().provision(&user, &attributes, identity.as_ref()).await? {
        return Err(ScimError::Taken("another user has that userName"));
    }
    if let Err(error) = scim.people.catch_up().await {
        // The directory must not make them twice. Memory follows by itself.
        tracing::warn!(%error, "a new user counts as soon as the users can be read again");
    }
    let shown = scim.resource(&user, Some(&attributes), said.external_id.as_ref());
    let location = scim.location("Users", &user.id.to_string());
    Ok(([(http::header::LOCATION, location)], scim_json(StatusCode::CREATED, &shown)).into_response())
}

/// `PUT /scim/v2/Users/{id}`
pub(super) async fn replace(
    State(scim): State<Arc<Scim>>,
    Path(id): Path<String>,
    Document(document): Document,
) -> Answer {
    let user = scim.find(&id).await?;
    scim.write(&user, &Said::read(&document)?).await
}

/// `PATCH /scim/v2/Users/{id}`
pub(super) async fn change(
    State(scim): State<Arc<Scim>>,
    Path(id): Path<String>,
    Document(patch): Document,
) -> Answer {
    let user = scim.find(&id).await?;
    let Value::Object(mut document) = scim.shown(&user).await? else { return Err(ScimError::NotFound) };
    Patch::read(patch)?.apply(&mut document)?;
    scim.write(&user, &Said::read(&document)?).await
}

/// `DELETE /scim/v2/Users/{id}`
pub(super) async fn delete(State(scim): State<Arc<Scim>>, Path(id): Path<String>) -> Answer {
    let user = scim.find(&id).await?;
    done(scim.store.users().delete(user.id, ROLE, scim.clock.now()).await?)?;
    scim.take_over().await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

impl Scim {
    async fn find(&self, id: &str) -> Result<User, ScimError> {
        let id = id.parse().map_err(|_| ScimError::NotFound)?;
        let user = self.store.users().find(id).await?;
        user.filter(|user| user.kind == UserKind::Person).ok_or(ScimError::NotFound)
    }

    /// What the directory calls its users.
    async fn external_ids(&self) -> Result<HashMap<UserId, String>, ScimError> {
        let identities = self.store.users().identities().await?.into_iter();
        let ours = identities.filter(|(identity, _)| identity.issuer == SOURCE);
        Ok(ours.map(|(identity, id)| (id, identity.subject)).collect())
    }

    async fn shown(&self, user: &User) -> Result<Value, ScimError> {
        let attributes = self.store.users().attributes(user.id).await?;
        Ok(self.resource(user, attributes.as_deref(), self.external_ids().await?.get(&user.id)))
    }

    fn resource(&self, user: &User, attributes: Option<&str>, external_id: Option<&String>) -> Value {
        let kept = attributes.and_then(|json| serde_json::from_str::<Map<String, Value>>(json).ok());
        let mut resource = Map::new();
        resource.insert("schemas".to_owned(), json!([SCHEMA]));
        resource.insert("id".to_owned(), user.id.to_string().into());
        if let Some(external_id) = external_id {
            resource.insert("externalId".to_owned(), external_id.as_str().into());
        }
        resource.insert("userName".to_owned(), user.login.as_str().into());
        resource.insert("displayName".to_owned(), user.name.as_str().into());
        resource.insert("active".to_owned(), user.disabled_at.is_none().into());
        resource.extend(kept.unwrap_or_default());
        let meta = json!({
            "resourceType": "User",
            "created": user.created_at.to_string(),
            "location": self.location("Users", &user.id.to_string()),
        });
        resource.insert("meta".to_owned(), meta);
        Value::Object(resource)
    }

    async fn write(&self, user: &User, said: &Said) -> Answer {
        self.check_external_id(user.id, said.external_id.as_deref()).await?;
        let change = UserChange {
            login: Some(said.login.clone()),
            name: Some(said.name.clone()),
            role: None,
            disabled: Some(!said.active),
        };
        let user = done(self.store.users().change(user.id, change, ROLE, self.now()).await?)?;
        self.keep(&user, said).await?;
        Ok(scim_json(StatusCode::OK, &self.shown(&user).await?))
    }

    /// Keeps what a user's row has no place for.
    async fn keep(&self, user: &User, said: &Said) -> Result<(), ScimError> {
        let users = self.store.users();
        users.set_attributes(user.id, &said.attributes_text()).await?;
        if let Some(identity) = said.identity() {
            users.set_identity(user.id, &identity).await?;
        }
        self.take_over().await
    }

    async fn check_external_id(&self, id: UserId, external_id: Option<&str>) -> Result<(), ScimError> {
        let Some(external_id) = external_id else { return Ok(()) };
        let identity = Identity { issuer: SOURCE.to_owned(), subject: external_id.to_owned() };
        match self.store.users().find_by_identity(&identity).await? {
            Some(other) if other.id != id => Err(ScimError::Taken("another user has that externalId")),
            _ => Ok(()),
        }
    }
}

impl Said {
    fn attributes_text(&self) -> String {
        Value::Object(self.attributes.clone()).to_string()
    }

    /// What the directory calls the user.
    fn identity(&self) -> Option<Identity> {
        let subject = self.external_id.clone()?;
        Some(Identity { issuer: SOURCE.to_owned(), subject })
    }

    fn read(document: &Map<String, Value>) -> Result<Self, ScimError> {
        let text =
            |name| member(document, name).and_then(Value::as_str).filter(|text| !text.trim().is_empty());
        let login = text("userName").and_then(User::login_from);
        let login = login
            .ok_or_else(|| ScimError::InvalidValue("userName is missing, or no sign-in name".to_owned()))?;
        let active = match member(document, "active") {
            None | Some(Value::Null) => true,
            Some(value) => {
                boolean(value).ok_or_else(|| ScimError::InvalidValue("active is true or false".to_owned()))?
            }
        };
        let is_kept = |name: &str| !OURS.contains(&name.to_ascii_lowercase().as_str());
        let attributes = document.iter().filter(|(name, _)| is_kept(name));
        Ok(Self {
            name: name(document).unwrap_or_else(|| login.clone()),
            external_id: text("externalId").map(ToOwned::to_owned),
            active,
            attributes: attributes.map(|(name, value)| (name.clone(), value.clone())).collect(),
            login,
        })
    }
}

/// What others see: the display name, or else the parts of the name.
fn name(document: &Map<String, Value>) -> Option<String> {
    let cleaned = |text: &str| {
        let text: String = text.chars().filter(|character| !character.is_control()).take(200).collect();
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    };
    let text = |value: &Value| value.as_str().and_then(cleaned);
    if let Some(name) = member(document, "displayName").and_then(text) {
        return Some(name);
    }
    let parts = member(document, "name")?.as_object()?;
    let part = |name| member(parts, name).and_then(text);
    part("formatted").or_else(|| {
        let both: Vec<String> = [part("givenName"), part("familyName")].into_iter().flatten().collect();
        cleaned(&both.join(" "))
    })
}

fn done(changed: Changed) -> Result<User, ScimError> {
    match changed {
        Changed::Done(user) => Ok(user),
        Changed::Absent => Err(ScimError::NotFound),
        Changed::LastOwner | Changed::Forbidden => Err(ScimError::Owner),
        Changed::LoginTaken => Err(ScimError::Taken("another user has that userName")),
    }
}
