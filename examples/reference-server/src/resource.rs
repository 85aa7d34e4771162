//! Resources: those that are listed, those of a template, and one that asks first.

use rmcp::ErrorData;
use rmcp::model::{ReadResourceResult, Resource, ResourceContents, ResourceTemplate};
use serde_json::json;

use crate::conversation::Conversation;
use crate::question::{Question, field};
use crate::shared::Extra;
use crate::skill;
use crate::unfinished::Unfinished;

pub(crate) const STATIC_TEXT: &str = "test://static-text";
const STATIC_BINARY: &str = "test://static-binary";
/// The resource that `update_resource` speaks of.
pub(crate) const WATCHED: &str = "test://watched-resource";
/// Can be read only by who answers a question.
const ASKING: &str = "test://asking-resource";
/// Comes and goes.
const PASSING: &str = "test://passing-resource";

const TEMPLATE: &str = "test://template/{id}/data";

/// A red pixel, as a PNG in Base64.
pub(crate) const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR42mP4z8AAAAMBAQD3A0FDAAAAAElFTkSuQmCC";

/// Two silent samples at 8 kHz, as a WAV in Base64.
pub(crate) const SILENCE: &str = "UklGRigAAABXQVZFZm10IBAAAAABAAEAQB8AAIA+AAACABAAZGF0YQQAAAAAAAAA";

pub(crate) fn listed(extra: Extra) -> Vec<Resource> {
    let mut resources = vec![
        resource(STATIC_TEXT, "Static text", "A text that never changes.", "text/plain"),
        resource(STATIC_BINARY, "Static binary", "A picture that never changes.", "image/png"),
        resource(WATCHED, "Watched resource", "Changes when update_resource says so.", "text/plain"),
        resource(ASKING, "Asking resource", "Asks the user before it shows itself.", "text/plain"),
    ];
    resources
        .extend(skill::files().map(|file| resource(&file.uri, file.name, file.description, "text/markdown")));
    if extra.resource {
        resources.push(resource(
            PASSING,
            "Passing resource",
            "Is there until the list changes.",
            "text/plain",
        ));
    }
    resources
}

fn resource(uri: &str, name: &str, description: &str, mime_type: &str) -> Resource {
    Resource::new(uri, name).with_description(description).with_mime_type(mime_type)
}

pub(crate) fn templates() -> Vec<ResourceTemplate> {
    vec![
        ResourceTemplate::new(TEMPLATE, "Data by number")
            .with_description("The data of the entry with this number.")
            .with_mime_type("application/json"),
    ]
}

/// # Errors
/// With the URI, when there is no such resource; or with what the client must answer first.
pub(crate) async fn read(
    uri: &str,
    extra: Extra,
    mut conversation: Conversation<'_>,
) -> Result<ReadResourceResult, Unfinished> {
    let contents = match uri {
        STATIC_TEXT => plain(uri, "This is the content of the static text resource."),
        STATIC_BINARY => ResourceContents::blob(PIXEL, uri).with_mime_type("image/png"),
        WATCHED => plain(uri, "This is the content of the watched resource."),
        ASKING => {
            let question = Question::text("user_name", "Who wants to read this?", "name")?;
            let answers = conversation.ask(vec![question]).await?;
            plain(uri, &format!("For {}.", field(&answers, "user_name", "name").unwrap_or("nobody")))
        }
        PASSING if extra.resource => plain(uri, "Here today."),
        _ => other(uri).ok_or_else(|| not_found(uri))?,
    };
    Ok(ReadResourceResult::new(vec![contents]))
}

fn plain(uri: &str, text: &str) -> ResourceContents {
    ResourceContents::text(text, uri).with_mime_type("text/plain")
}

fn other(uri: &str) -> Option<ResourceContents> {
    if let Some(file) = skill::files().find(|file| file.uri == uri) {
        return Some(ResourceContents::text(file.text, uri).with_mime_type("text/markdown"));
    }
    let id = id_in_template(uri)?;
    let data = json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
    Some(ResourceContents::text(data.to_string(), uri).with_mime_type("application/json"))
}

fn id_in_template(uri: &str) -> Option<&str> {
    let (before, after) = TEMPLATE.split_once("{id}")?;
    uri.strip_prefix(before)?.strip_suffix(after).filter(|id| !id.is_empty() && !id.contains('/'))
}

/// `-32002` in the legacy era; the library makes it `-32602` in the modern one.
fn not_found(uri: &str) -> ErrorData {
    ErrorData::resource_not_found("Resource not found", Some(json!({ "uri": uri })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_takes_one_segment() {
        assert_eq!(id_in_template("test://template/123/data"), Some("123"));
        assert_eq!(id_in_template("test://template//data"), None);
        assert_eq!(id_in_template("test://template/1/2/data"), None);
        assert_eq!(id_in_template("test://template/123"), None);
    }
}
