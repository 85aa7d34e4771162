//! Tools, a prompt and a resource that ask back, in both eras.

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::pipe::Pipe;

/// A client that can be asked for everything.
fn everything() -> Value {
    json!({ "elicitation": { "form": {}, "url": {} }, "sampling": {}, "roots": {} })
}

/// What this client answers to one of the server's requests.
fn answer_to(method: &str, params: &Value) -> Value {
    match method {
        "sampling/createMessage" => {
            json!({ "role": "assistant", "model": "m", "content": { "type": "text", "text": "Paris" } })
        }
        "roots/list" => json!({ "roots": [{ "uri": "file:///home" }] }),
        _ if params["mode"] == "url" => json!({ "action": "accept" }),
        _ => json!({ "action": "accept", "content": {
            "name": "Ada", "color": "blue", "ok": true, "confirm": true, "username": "ada", "email": "a@example.com",
        } }),
    }
}

/// Asks as a legacy client, answering on the way; gives the answer and the methods it was asked with.
async fn legacy(method: &str, params: &Value) -> Result<(Value, Vec<String>)> {
    let mut pipe = Pipe::legacy(&["--era", "legacy"], &everything()).await?;
    let mut asked = Vec::new();
    let mut message = pipe.ask(method, params).await?;
    while let Some(method) = message["method"].as_str() {
        if !message["id"].is_null() {
            let result = answer_to(method, &message["params"]);
            asked.push(method.to_owned());
            pipe.write(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": result })).await?;
        }
        message = pipe.read().await?;
    }
    Ok((message, asked))
}

/// The same as a modern client, which repeats its request with the answers.
async fn modern(method: &str, params: &Value) -> Result<(Value, Vec<String>)> {
    let mut pipe = Pipe::start(&["--era", "modern"])?;
    let mut asked = Vec::new();
    let mut params = params.clone();
    loop {
        let answer = pipe.ask_modern(method, params.clone(), &everything()).await?;
        if answer["result"]["resultType"] != "input_required" {
            return Ok((answer, asked));
        }
        let questions = answer["result"]["inputRequests"].as_object().context("no questions")?;
        params["inputResponses"] = json!({});
        for (key, question) in questions {
            let method = question["method"].as_str().context("no method")?;
            asked.push(method.to_owned());
            params["inputResponses"][key] = answer_to(method, &question["params"]);
        }
        if let Some(state) = answer["result"].get("requestState") {
            params["requestState"] = state.clone();
        }
    }
}

fn first_text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_default()
}

/// Calls `tool` in both eras: both are asked the same, and get the same text.
async fn called(tool: &str, arguments: Value, expected: &[&str], text: &str) -> Result<()> {
    let params = json!({ "name": tool, "arguments": arguments });
    for (answer, mut asked) in [legacy("tools/call", &params).await?, modern("tools/call", &params).await?] {
        asked.sort();
        assert_eq!(asked, expected, "{tool}: {answer}");
        assert!(first_text(&answer).contains(text), "{tool}: {answer}");
    }
    Ok(())
}

#[tokio::test]
async fn a_tool_asks_the_model() -> Result<()> {
    called("test_sampling", json!({ "prompt": "Capital?" }), &["sampling/createMessage"], "Paris").await
}

#[tokio::test]
async fn a_tool_asks_with_a_form() -> Result<()> {
    called("test_elicitation", json!({ "message": "Who?" }), &["elicitation/create"], "ada").await
}

#[tokio::test]
async fn a_tool_asks_with_a_url() -> Result<()> {
    called("ask_url", json!({}), &["elicitation/create"], "action=accept").await
}

#[tokio::test]
async fn a_tool_asks_for_roots() -> Result<()> {
    called("ask_roots", json!({}), &["roots/list"], "file:///home").await
}

#[tokio::test]
async fn a_tool_asks_twice() -> Result<()> {
    let twice = ["elicitation/create", "elicitation/create"];
    called("test_input_required_result_multi_round", json!({}), &twice, "Ada likes blue.").await
}

#[tokio::test]
async fn a_tool_asks_three_things_at_once() -> Result<()> {
    let three = ["elicitation/create", "roots/list", "sampling/createMessage"];
    called("test_input_required_result_multiple_inputs", json!({}), &three, "Paris Ada has 1 roots.").await
}

#[tokio::test]
async fn a_resource_asks_too() -> Result<()> {
    let params = json!({ "uri": "test://asking-resource" });
    for (answer, asked) in
        [legacy("resources/read", &params).await?, modern("resources/read", &params).await?]
    {
        assert_eq!(asked, ["elicitation/create"]);
        assert_eq!(answer["result"]["contents"][0]["text"], "For Ada.", "{answer}");
    }
    Ok(())
}

#[tokio::test]
async fn a_legacy_client_is_sent_to_a_url_by_an_error_once() -> Result<()> {
    let mut pipe = Pipe::legacy(&[], &everything()).await?;
    let call = json!({ "name": "ask_url_by_error", "arguments": {} });
    let answer = pipe.ask("tools/call", &call).await?;
    assert_eq!(answer["error"]["code"], -32042, "{answer}");
    let visit = &answer["error"]["data"]["elicitations"][0];
    assert_eq!(visit["mode"], "url", "{answer}");
    assert!(visit["elicitationId"].is_string() && visit["url"].is_string(), "{answer}");
    let answer = pipe.ask("tools/call", &call).await?;
    assert!(first_text(&answer).contains("before"), "{answer}");
    Ok(())
}

#[tokio::test]
async fn a_modern_client_never_sees_that_error() -> Result<()> {
    let params = json!({ "name": "ask_url_by_error", "arguments": {} });
    let (answer, asked) = modern("tools/call", &params).await?;
    assert_eq!(asked, ["elicitation/create"], "{answer}");
    Ok(())
}

#[tokio::test]
async fn who_declares_nothing_is_not_asked() -> Result<()> {
    let call = json!({ "name": "ask_roots", "arguments": {} });
    let answer = Pipe::legacy(&[], &json!({})).await?.ask("tools/call", &call).await?;
    assert_eq!(answer["result"]["isError"], true, "{answer}");
    let answer = Pipe::start(&[])?.ask_modern("tools/call", call, &json!({})).await?;
    assert_eq!(answer["error"]["code"], -32021, "{answer}");
    assert_eq!(answer["error"]["data"]["requiredCapabilities"], json!({ "roots": {} }), "{answer}");
    Ok(())
}

#[tokio::test]
async fn an_altered_state_is_refused() -> Result<()> {
    let mut pipe = Pipe::start(&[])?;
    let mut params = json!({ "name": "test_input_required_result_request_state", "arguments": {} });
    let answer = pipe.ask_modern("tools/call", params.clone(), &everything()).await?;
    let state = answer["result"]["requestState"].as_str().context("no state")?.to_owned();
    params["inputResponses"] = json!({ "confirm": { "action": "accept", "content": { "ok": true } } });
    params["requestState"] = format!("{state}x").into();
    let refused = pipe.ask_modern("tools/call", params.clone(), &everything()).await?;
    assert_eq!(refused["error"]["code"], -32602, "{refused}");
    params["requestState"] = state.into();
    let answer = pipe.ask_modern("tools/call", params, &everything()).await?;
    assert!(first_text(&answer).contains("state-ok"), "{answer}");
    Ok(())
}
