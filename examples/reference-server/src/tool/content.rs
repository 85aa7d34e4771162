//! Tools that answer at once, with every kind of content.

use rmcp::model::{CallToolResult, ContentBlock, Resource, ResourceContents};

use crate::resource::{PIXEL, SILENCE, STATIC_TEXT};
use crate::tool::{Call, Entry, nothing, said};

pub(super) fn tools() -> Vec<Entry> {
    vec![
        Entry::new("test_simple_text", "Answers with a text.", nothing(), simple_text),
        Entry::new("test_image_content", "Answers with a picture.", nothing(), image),
        Entry::new("test_audio_content", "Answers with a sound.", nothing(), audio),
        Entry::new("test_embedded_resource", "Answers with a whole resource.", nothing(), resource),
        Entry::new("test_resource_link", "Answers with a link to a resource.", nothing(), link),
        Entry::new("test_multiple_content_types", "Answers with three kinds at once.", nothing(), mixed),
        Entry::new("test_error_handling", "Fails, and says so.", nothing(), failure),
    ]
}

fn simple_text(_: &Call) -> CallToolResult {
    said("This is a simple text response for testing.")
}

fn image(_: &Call) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::image(PIXEL, "image/png")])
}

fn audio(_: &Call) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::audio(SILENCE, "audio/wav")])
}

fn resource(_: &Call) -> CallToolResult {
    let resource =
        ResourceContents::text("This is an embedded resource content.", "test://embedded-resource")
            .with_mime_type("text/plain");
    CallToolResult::success(vec![ContentBlock::resource(resource)])
}

fn link(_: &Call) -> CallToolResult {
    let resource = Resource::new(STATIC_TEXT, "Static text").with_mime_type("text/plain");
    CallToolResult::success(vec![ContentBlock::resource_link(resource)])
}

fn mixed(_: &Call) -> CallToolResult {
    let resource = ResourceContents::text(r#"{"test":"data","value":123}"#, "test://mixed-content-resource")
        .with_mime_type("application/json");
    CallToolResult::success(vec![
        ContentBlock::text("Multiple content types test:"),
        ContentBlock::image(PIXEL, "image/png"),
        ContentBlock::resource(resource),
    ])
}

fn failure(_: &Call) -> CallToolResult {
    let reason = ContentBlock::text("This tool intentionally returns an error for testing");
    CallToolResult::error(vec![reason])
}
