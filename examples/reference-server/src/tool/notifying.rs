//! Tools that send notifications while they work.

use std::time::Duration;

use tokio::time::sleep;

use crate::tool::{Answer, Call, Entry, nothing, text};

/// Between two notifications, so that a client sees that they come one by one.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) fn tools() -> Vec<Entry> {
    vec![
        Entry::waiting("test_tool_with_logging", "Sends three log lines.", nothing(), |call| {
            Box::pin(logging(call))
        }),
        Entry::waiting("test_logging_tool", "Sends three log lines, too.", nothing(), |call| {
            Box::pin(logging(call))
        }),
        Entry::waiting(
            "test_tool_with_progress",
            "Reports progress three times, if asked to.",
            nothing(),
            |call| Box::pin(progress(call)),
        ),
    ]
}

async fn logging(call: Call) -> Answer {
    call.log("Tool execution started").await;
    sleep(PAUSE).await;
    call.log("Tool processing data").await;
    sleep(PAUSE).await;
    call.log("Tool execution completed").await;
    Ok(text("Three log lines were sent to those who want them."))
}

async fn progress(call: Call) -> Answer {
    for (step, done) in [0.0, 50.0, 100.0].into_iter().enumerate() {
        if step > 0 {
            sleep(PAUSE).await;
        }
        call.progress(done, 100.0).await;
    }
    Ok(text("All of it is done."))
}
