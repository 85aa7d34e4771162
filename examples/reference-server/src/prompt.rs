//! Prompts, one of which asks first.

use rmcp::ErrorData;
use rmcp::model::{
    ContentBlock, GetPromptRequestParams, GetPromptResult, JsonObject, Prompt, PromptArgument, PromptMessage,
    ResourceContents, Role,
};

use crate::conversation::Conversation;
use crate::question::{Question, field};
use crate::resource::PIXEL;
use crate::shared::Extra;
use crate::unfinished::Unfinished;

const SIMPLE: &str = "test_simple_prompt";
pub(crate) const WITH_ARGUMENTS: &str = "test_prompt_with_arguments";
const WITH_RESOURCE: &str = "test_prompt_with_embedded_resource";
const WITH_IMAGE: &str = "test_prompt_with_image";
const ASKING: &str = "test_input_required_result_prompt";
/// Comes and goes.
const PASSING: &str = "passing_prompt";

/// What the arguments of [`WITH_ARGUMENTS`] can be completed to.
pub(crate) const COMPLETIONS: [&str; 4] = ["paris", "park", "party", "test value"];

pub(crate) fn listed(extra: Extra) -> Vec<Prompt> {
    let required = |name: &str, description: &str| {
        PromptArgument::new(name).with_description(description).with_required(true)
    };
    let two = vec![required("arg1", "First test argument"), required("arg2", "Second test argument")];
    let uri = vec![required("resourceUri", "URI of the resource to embed")];
    let mut prompts = vec![
        Prompt::new(SIMPLE, Some("A text."), None),
        Prompt::new(WITH_ARGUMENTS, Some("A text with two arguments in it."), Some(two)),
        Prompt::new(WITH_RESOURCE, Some("A resource, and what to do with it."), Some(uri)),
        Prompt::new(WITH_IMAGE, Some("A picture, and what to do with it."), None),
        Prompt::new(ASKING, Some("Asks the user for its context."), None),
    ];
    if extra.prompt {
        prompts.push(Prompt::new(PASSING, Some("Is there until the list changes."), None));
    }
    prompts
}

/// # Errors
/// `-32602` for a prompt that is not there and for arguments that are missing; or with what the client must answer
/// first.
pub(crate) async fn get(
    request: &GetPromptRequestParams,
    extra: Extra,
    mut conversation: Conversation<'_>,
) -> Result<GetPromptResult, Unfinished> {
    let arguments = request.arguments.clone().unwrap_or_default();
    let messages = match request.name.as_str() {
        SIMPLE => vec![user("This is a simple prompt for testing.")],
        WITH_ARGUMENTS => {
            let (first, second) = (argument(&arguments, "arg1")?, argument(&arguments, "arg2")?);
            vec![user(format!("Prompt with arguments: arg1='{first}', arg2='{second}'"))]
        }
        WITH_RESOURCE => {
            let uri = argument(&arguments, "resourceUri")?;
            let resource = ResourceContents::text("Embedded resource content for testing.", uri)
                .with_mime_type("text/plain");
            vec![
                PromptMessage::new(Role::User, ContentBlock::resource(resource)),
                user("Please process the embedded resource above."),
            ]
        }
        WITH_IMAGE => vec![
            PromptMessage::new(Role::User, ContentBlock::image(PIXEL, "image/png")),
            user("Please analyze the image above."),
        ],
        ASKING => {
            let question = Question::text("user_context", "What context should the prompt use?", "context")?;
            let answers = conversation.ask(vec![question]).await?;
            let context = field(&answers, "user_context", "context").unwrap_or("none");
            vec![user(format!("Use this context: {context}"))]
        }
        PASSING if extra.prompt => vec![user("Here today.")],
        name => return Err(ErrorData::invalid_params(format!("Unknown prompt: {name}"), None).into()),
    };
    Ok(GetPromptResult::new(messages))
}

fn user(text: impl Into<String>) -> PromptMessage {
    PromptMessage::new(Role::User, ContentBlock::text(text))
}

fn argument<'a>(arguments: &'a JsonObject, name: &str) -> Result<&'a str, ErrorData> {
    arguments
        .get(name)
        .and_then(|value| value.as_str())
        .ok_or_else(|| ErrorData::invalid_params(format!("the argument {name} is missing"), None))
}
