//! Tools that become tasks when the client declares the extension
//! `io.modelcontextprotocol/tasks`, and answer like any other when it does not.

use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock, CreateTaskResult};
use rmcp::task_manager::{TaskContext, TaskExit, TaskFuture, TaskOptions};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::capability::Capability;
use crate::era::Era;
use crate::question::{Answers, Question, field};
use crate::tool::{Answer, Call, Entry, nothing, said, text};
use crate::unfinished::Unfinished;

/// How long a task is kept.
const LIFETIME_MS: u64 = 10 * 60 * 1000;
const POLL_INTERVAL_MS: u64 = 200;

/// How long a job works before it fails.
const WORK: Duration = Duration::from_secs(1);

pub(super) fn tools() -> Vec<Entry> {
    vec![
        Entry::reading("greet", "Greets, at once and never as a task.", name_schema(), greet),
        Entry::waiting("slow_compute", "Works for some seconds.", seconds_schema(), |call| {
            Box::pin(slow_compute(call))
        }),
        Entry::waiting("failing_job", "Fails after a second; only as a task.", nothing(), |call| {
            Box::pin(failing_job(call))
        }),
        Entry::waiting("protocol_error_job", "Fails by an error of the protocol.", nothing(), |call| {
            Box::pin(protocol_error_job(call))
        }),
        Entry::waiting("confirm_delete", "Asks before it pretends to delete.", filename_schema(), |call| {
            Box::pin(confirm_delete(call))
        }),
        Entry::waiting("multi_input", "Asks two questions at once.", nothing(), |call| {
            Box::pin(multi_input(call))
        }),
        Entry::waiting("test_tool_with_task", "Asks for a name, then becomes a task.", nothing(), |call| {
            Box::pin(ask_then_task(call))
        }),
    ]
}

fn name_schema() -> Value {
    json!({ "type": "object", "properties": { "name": { "type": "string" } }, "required": ["name"] })
}

fn seconds_schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "seconds": { "type": "number", "minimum": 0, "maximum": 600 },
            "label": { "type": "string" },
        },
    })
}

fn filename_schema() -> Value {
    json!({ "type": "object", "properties": { "filename": { "type": "string" } }, "required": ["filename"] })
}

impl Call {
    fn may_be_task(&self) -> bool {
        self.declares(Capability::Tasks)
    }

    fn start_task(&self, work: impl FnOnce(TaskContext) -> TaskFuture) -> CallToolResponse {
        let options = TaskOptions::new().with_ttl_ms(LIFETIME_MS).with_poll_interval_ms(POLL_INTERVAL_MS);
        CreateTaskResult::new(self.shared.tasks.spawn(options, work)).into()
    }
}

#[derive(Deserialize)]
struct Name {
    name: String,
}

fn greet(call: &Call) -> Answer {
    let Name { name } = call.arguments()?;
    Ok(text(format!("Hello, {name}!")))
}

#[derive(Deserialize)]
struct Computation {
    #[serde(default)]
    seconds: f64,
    #[serde(default)]
    label: String,
}

async fn slow_compute(call: Call) -> Answer {
    let Computation { seconds, label } = call.arguments()?;
    let time = Duration::from_secs_f64(seconds.clamp(0.0, 600.0));
    let report = format!("Computed {label:?} in {seconds} s.");
    if call.may_be_task() && !time.is_zero() {
        return Ok(call.start_task(|task| {
            Box::pin(async move {
                tokio::select! {
                    () = sleep(time) => Ok(said(report)),
                    () = task.cancelled() => Err(TaskExit::Cancelled),
                }
            })
        }));
    }
    sleep(time).await;
    Ok(text(report))
}

async fn failing_job(call: Call) -> Answer {
    let failed = || CallToolResult::error(vec![ContentBlock::text("The job failed, as it always does.")]);
    if call.may_be_task() {
        return Ok(call.start_task(|_| {
            Box::pin(async move {
                sleep(WORK).await;
                Ok(failed())
            })
        }));
    }
    if call.era() == Era::Modern {
        return Err(Unfinished::Undeclared(Capability::Tasks));
    }
    sleep(WORK).await;
    Ok(failed().into())
}

async fn protocol_error_job(call: Call) -> Answer {
    let broken = || ErrorData::internal_error("the job broke, as it always does", None);
    if call.may_be_task() {
        return Ok(call.start_task(|_| {
            Box::pin(async move {
                sleep(WORK).await;
                Err(broken().into())
            })
        }));
    }
    sleep(WORK).await;
    Err(broken().into())
}

/// Asks as a task does: the client sees the question when it looks at the task.
async fn ask_in_task(task: &TaskContext, question: Question) -> Result<Value, TaskExit> {
    task.request_input(question.key, question.request).await
}

#[derive(Deserialize)]
struct File {
    filename: String,
}

async fn confirm_delete(call: Call) -> Answer {
    let File { filename } = call.arguments()?;
    let question = Question::confirmation("confirm", &format!("Delete {filename}?"), "confirm")?;
    let outcome = move |answer: &Value| {
        let deleted = answer["action"] == "accept" && answer["content"]["confirm"] == true;
        format!("{filename} was {}.", if deleted { "deleted" } else { "kept" })
    };
    if call.may_be_task() {
        return Ok(call.start_task(|task| {
            Box::pin(async move { Ok(said(outcome(&ask_in_task(&task, question).await?))) })
        }));
    }
    let answers = call.conversation()?.ask(vec![question]).await?;
    Ok(text(outcome(answers.get("confirm").unwrap_or(&Value::Null))))
}

async fn multi_input(call: Call) -> Answer {
    let first = Question::text("first", "What is the first name?", "name")?;
    let second = Question::text("second", "What is the second name?", "name")?;
    let outcome = |answers: &Answers| {
        let name = |key| field(answers, key, "name").unwrap_or("nobody").to_owned();
        format!("{} and {}", name("first"), name("second"))
    };
    if call.may_be_task() {
        return Ok(call.start_task(move |task| {
            Box::pin(async move {
                let (first, second) =
                    tokio::try_join!(ask_in_task(&task, first), ask_in_task(&task, second))?;
                let answers =
                    Answers::from_iter([("first".to_owned(), first), ("second".to_owned(), second)]);
                Ok(said(outcome(&answers)))
            })
        }));
    }
    let answers = call.conversation()?.ask(vec![first, second]).await?;
    Ok(text(outcome(&answers)))
}

async fn ask_then_task(call: Call) -> Answer {
    if call.era() == Era::Modern && !call.may_be_task() {
        return Err(Unfinished::Undeclared(Capability::Tasks));
    }
    let question = Question::text("user_name", "What is your name?", "name")?;
    let answers = call.conversation()?.ask(vec![question]).await?;
    let report = format!("Hello, {}!", field(&answers, "user_name", "name").unwrap_or("whoever you are"));
    if !call.may_be_task() {
        return Ok(text(report));
    }
    Ok(call.start_task(|_| {
        Box::pin(async move {
            sleep(Duration::from_millis(POLL_INTERVAL_MS)).await;
            Ok(said(report))
        })
    }))
}
