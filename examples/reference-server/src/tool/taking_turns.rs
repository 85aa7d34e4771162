//! Tools that take turns with their client: several questions at once, several
//! rounds of them, with and without a state that the client carries.

use serde_json::json;

use crate::conversation::State;
use crate::question::{Question, field, said};
use crate::tool::{Answer, Call, Entry, nothing, text};
use crate::unfinished::Unfinished;

pub(super) fn tools() -> Vec<Entry> {
    vec![
        Entry::waiting("test_input_required_result_elicitation", "Asks for a name.", nothing(), |call| {
            Box::pin(greeting(call))
        }),
        Entry::waiting("test_streaming_elicitation", "Asks for a name, too.", nothing(), |call| {
            Box::pin(greeting(call))
        }),
        Entry::waiting(
            "test_input_required_result_sampling",
            "Asks the client's model.",
            nothing(),
            |call| Box::pin(capital(call)),
        ),
        Entry::waiting("test_missing_capability", "Needs a client with a model.", nothing(), |call| {
            Box::pin(capital(call))
        }),
        Entry::waiting("test_input_required_result_list_roots", "Asks for roots.", nothing(), |call| {
            Box::pin(roots(call))
        }),
        Entry::waiting(
            "test_input_required_result_request_state",
            "Asks to confirm, with a state for the client to carry.",
            nothing(),
            |call| Box::pin(confirmation(call)),
        ),
        Entry::waiting(
            "test_input_required_result_tampered_state",
            "Asks to confirm, and refuses a state that was altered.",
            nothing(),
            |call| Box::pin(confirmation(call)),
        ),
        Entry::waiting(
            "test_input_required_result_multiple_inputs",
            "Asks for a name, a greeting and roots at once.",
            nothing(),
            |call| Box::pin(three_at_once(call)),
        ),
        Entry::waiting(
            "test_input_required_result_multi_round",
            "Asks for a name, then for a colour.",
            nothing(),
            |call| Box::pin(two_rounds(call)),
        ),
        Entry::waiting(
            "test_input_required_result_capabilities",
            "Asks whatever this client can answer.",
            nothing(),
            |call| Box::pin(what_it_can(call)),
        ),
    ]
}

async fn greeting(call: Call) -> Answer {
    let question = Question::text("user_name", "What is your name?", "name")?;
    let answers = call.conversation()?.ask(vec![question]).await?;
    let name = field(&answers, "user_name", "name").unwrap_or("whoever you are");
    Ok(text(format!("Hello, {name}!")))
}

async fn capital(call: Call) -> Answer {
    let question = Question::model("capital_question", "What is the capital of France?", 100)?;
    let answers = call.conversation()?.ask(vec![question]).await?;
    Ok(text(said(&answers, "capital_question").unwrap_or("The model said nothing.")))
}

async fn roots(call: Call) -> Answer {
    let answers = call.conversation()?.ask(vec![Question::roots("client_roots")?]).await?;
    let roots = answers.get("client_roots").map(|answer| answer["roots"].to_string());
    Ok(text(format!("The client's roots: {}", roots.unwrap_or_default())))
}

async fn confirmation(call: Call) -> Answer {
    let mut conversation = call.conversation()?;
    let question = Question::confirmation("confirm", "Please confirm", "ok")?;
    let answers = conversation.ask_with(State::Sealed, vec![question]).await?;
    let accepted = answers.get("confirm").is_some_and(|answer| answer["action"] == "accept");
    // A legacy client carries no state: the question was asked within the call.
    let state = if conversation.state_came_back() { "state-ok" } else { "no state" };
    Ok(text(format!("{state}, confirmed: {accepted}")))
}

async fn three_at_once(call: Call) -> Answer {
    let questions = vec![
        Question::text("user_name", "What is your name?", "name")?,
        Question::model("greeting", "Generate a greeting", 50)?,
        Question::roots("client_roots")?,
    ];
    let answers = call.conversation()?.ask_with(State::Sealed, questions).await?;
    let name = field(&answers, "user_name", "name").unwrap_or("nobody");
    let greeting = said(&answers, "greeting").unwrap_or("no greeting");
    let roots = answers.get("client_roots").and_then(|answer| answer["roots"].as_array().map(Vec::len));
    Ok(text(format!("{greeting} {name} has {} roots.", roots.unwrap_or(0))))
}

async fn two_rounds(call: Call) -> Answer {
    let mut conversation = call.conversation()?;
    let first = Question::text("step1", "Step 1: What is your name?", "name")?;
    let first = conversation.ask_with(State::Sealed, vec![first]).await?;
    let second = Question::text("step2", "Step 2: What is your favorite color?", "color")?;
    let second = conversation.ask_with(State::Sealed, vec![second]).await?;
    let name = field(&first, "step1", "name").unwrap_or("Somebody");
    let color = field(&second, "step2", "color").unwrap_or("no color");
    Ok(text(format!("{name} likes {color}.")))
}

async fn what_it_can(call: Call) -> Answer {
    let mut conversation = call.conversation()?;
    let mut questions = vec![
        Question::text("user_name", "What is your name?", "name")?,
        Question::model("greeting", "Generate a greeting", 50)?,
        Question::roots("client_roots")?,
    ];
    questions.retain(|question| conversation.can_ask(question));
    if questions.is_empty() {
        return Err(Unfinished::Refused("This client can be asked for nothing.".to_owned()));
    }
    let answers = conversation.ask(questions).await?;
    Ok(text(json!(answers).to_string()))
}
