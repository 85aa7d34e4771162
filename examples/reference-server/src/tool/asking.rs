//! Tools that ask their client back, once, in every way there is.

use rmcp::ErrorData;
use rmcp::model::{CustomNotification, ErrorCode, ServerNotification};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::capability::Capability;
use crate::era::Era;
use crate::question::{Question, outcome, said};
use crate::tool::{Answer, Call, Entry, nothing, text};
use crate::unfinished::Unfinished;

/// Where the questions by URL send the user. Nobody needs to answer there.
const VISITED_URL: &str = "https://example.com/reference-server/visit";

/// The name of the visit in the legacy era.
const VISIT: &str = "visit-1";

/// The error that sends a client of 2025-11-25 to a URL before it may call again.
const URL_ELICITATION_REQUIRED: ErrorCode = ErrorCode(-32042);

pub(super) fn tools() -> Vec<Entry> {
    vec![
        Entry::waiting("test_sampling", "Asks the client's model.", argument("prompt"), |call| {
            Box::pin(sampling(call))
        }),
        Entry::waiting(
            "test_elicitation",
            "Asks the user for name and address.",
            argument("message"),
            |call| Box::pin(elicitation(call)),
        ),
        Entry::waiting(
            "test_elicitation_sep1034_defaults",
            "Asks the user with a form that has defaults.",
            nothing(),
            |call| Box::pin(form(call, defaults())),
        ),
        Entry::waiting(
            "test_elicitation_sep1330_enums",
            "Asks the user to choose, in five kinds of lists.",
            nothing(),
            |call| Box::pin(form(call, choices())),
        ),
        Entry::waiting("ask_roots", "Asks for the client's roots.", nothing(), |call| Box::pin(roots(call))),
        Entry::waiting("ask_url", "Sends the user to a URL.", nothing(), |call| Box::pin(url(call))),
        Entry::waiting(
            "ask_url_by_error",
            "Sends the user to a URL: a legacy client by the error -32042, once for each session.",
            nothing(),
            |call| Box::pin(url_by_error(call)),
        ),
    ]
}

/// The schema of a tool with one required text.
fn argument(name: &str) -> Value {
    json!({ "type": "object", "properties": { name: { "type": "string" } }, "required": [name] })
}

#[derive(Deserialize)]
struct Prompt {
    prompt: String,
}

async fn sampling(call: Call) -> Answer {
    let Prompt { prompt } = call.arguments()?;
    let answers = call.conversation()?.ask(vec![Question::model("answer", &prompt, 100)?]).await?;
    Ok(text(format!("LLM response: {}", said(&answers, "answer").unwrap_or("(no text)"))))
}

#[derive(Deserialize)]
struct Message {
    message: String,
}

async fn elicitation(call: Call) -> Answer {
    let Message { message } = call.arguments()?;
    let schema = json!({
        "type": "object",
        "properties": {
            "username": { "type": "string", "description": "User's response" },
            "email": { "type": "string", "description": "User's email address" },
        },
        "required": ["username", "email"],
    });
    let answers = call.conversation()?.ask(vec![Question::form("user", &message, &schema)?]).await?;
    Ok(text(format!("User response: {}", outcome(&answers, "user"))))
}

async fn form(call: Call, schema: Value) -> Answer {
    let question = Question::form("form", "Please fill in the form.", &schema)?;
    let answers = call.conversation()?.ask(vec![question]).await?;
    Ok(text(format!("Elicitation completed: {}", outcome(&answers, "form"))))
}

/// SEP-1034: each primitive type with a default.
fn defaults() -> Value {
    json!({
        "type": "object",
        "properties": {
            "name": { "type": "string", "default": "John Doe" },
            "age": { "type": "integer", "default": 30 },
            "score": { "type": "number", "default": 95.5 },
            "status": { "type": "string", "enum": ["active", "inactive", "pending"], "default": "active" },
            "verified": { "type": "boolean", "default": true },
        },
    })
}

/// SEP-1330: each kind of choice.
fn choices() -> Value {
    let titled = |title: &str| {
        json!([
            { "const": "value1", "title": format!("First {title}") },
            { "const": "value2", "title": format!("Second {title}") },
            { "const": "value3", "title": format!("Third {title}") },
        ])
    };
    let plain = json!(["option1", "option2", "option3"]);
    json!({
        "type": "object",
        "properties": {
            "untitledSingle": { "type": "string", "enum": plain },
            "titledSingle": { "type": "string", "oneOf": titled("Option") },
            "legacyEnum": {
                "type": "string",
                "enum": ["opt1", "opt2", "opt3"],
                "enumNames": ["Option One", "Option Two", "Option Three"],
            },
            "untitledMulti": { "type": "array", "items": { "type": "string", "enum": plain } },
            "titledMulti": { "type": "array", "items": { "anyOf": titled("Choice") } },
        },
    })
}

async fn roots(call: Call) -> Answer {
    let answers = call.conversation()?.ask(vec![Question::roots("roots")?]).await?;
    let roots = answers.get("roots").and_then(|answer| answer["roots"].as_array().cloned());
    let uris: Vec<String> =
        roots.into_iter().flatten().filter_map(|root| root["uri"].as_str().map(str::to_owned)).collect();
    Ok(text(format!("The client's roots: {}", uris.join(", "))))
}

async fn url(call: Call) -> Answer {
    let question = Question::url("visit", "Please visit this page.", VISITED_URL, VISIT)?;
    let answers = call.conversation()?.ask(vec![question]).await?;
    if call.era() == Era::Legacy {
        visited(&call).await;
    }
    Ok(text(format!("Elicitation completed: {}", outcome(&answers, "visit"))))
}

/// `notifications/elicitation/complete`, 2025-11-25: the page was visited.
async fn visited(call: &Call) {
    let params = json!({ "elicitationId": VISIT });
    let notification = CustomNotification::new("notifications/elicitation/complete", Some(params));
    let sent =
        call.context.peer.send_notification(ServerNotification::CustomNotification(notification)).await;
    if let Err(error) = sent {
        tracing::debug!(%error, "the end of a visit did not reach the client");
    }
}

/// The modern era has no such error; there it asks as [`url`] does.
async fn url_by_error(call: Call) -> Answer {
    if call.era() == Era::Modern {
        return url(call).await;
    }
    if !call.declares(Capability::Url) {
        return Err(Unfinished::Undeclared(Capability::Url));
    }
    if call.session.send_to_url() {
        return Ok(text("The user was sent to the page before."));
    }
    let visit = json!({ "mode": "url", "elicitationId": VISIT, "url": VISITED_URL, "message": "Please visit this page." });
    Err(ErrorData::new(
        URL_ELICITATION_REQUIRED,
        "the user must visit a page first",
        Some(json!({ "elicitations": [visit] })),
    )
    .into())
}
