//! Tools that misbehave, as servers do on a bad day.

use std::io::{self, Write as _};
use std::process;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::time::sleep;

use crate::era::Era;
use crate::tool::{Answer, Call, Entry, nothing, text};

/// The longest wait, and the largest answer, that a tool gives.
const LONGEST_MS: u64 = 600_000;
const LARGEST_BYTES: usize = 64 * 1024 * 1024;

/// What is already on its way has so long to get out before the rest is withheld.
const HEAD_START: Duration = Duration::from_millis(50);

pub(super) fn tools() -> Vec<Entry> {
    vec![
        Entry::waiting(
            "slow",
            "Answers late, and reports progress at half of the time.",
            json!({ "type": "object", "properties": { "milliseconds": { "type": "integer", "minimum": 0 } } }),
            |call| Box::pin(slow(call)),
        ),
        Entry::reading(
            "big",
            "Answers with a text of so many bytes.",
            json!({ "type": "object", "properties": { "bytes": { "type": "integer", "minimum": 0 } } }),
            big,
        ),
        Entry::waiting(
            "cut",
            "Breaks off in the middle of its answer: the connection, and over standard output the process too.",
            nothing(),
            |call| Box::pin(cut(call)),
        ),
        Entry::waiting(
            "test_reconnection",
            "Ends the event stream before it answers; a legacy client fetches the rest with Last-Event-ID.",
            nothing(),
            |call| Box::pin(reconnection(call)),
        ),
        Entry::waiting(
            "crash",
            "Ends the process in the middle of the call.",
            json!({ "type": "object", "properties": { "code": { "type": "integer", "default": 1 } } }),
            |call| Box::pin(crash(call)),
        ),
    ]
}

#[derive(Deserialize)]
struct Slow {
    #[serde(default)]
    milliseconds: u64,
}

async fn slow(call: Call) -> Answer {
    let Slow { milliseconds } = call.arguments()?;
    let half = Duration::from_millis(milliseconds.min(LONGEST_MS)) / 2;
    sleep(half).await;
    call.progress(50.0, 100.0).await;
    sleep(half).await;
    Ok(text(format!("This took {milliseconds} ms.")))
}

#[derive(Deserialize)]
struct Big {
    #[serde(default)]
    bytes: usize,
}

fn big(call: &Call) -> Answer {
    let Big { bytes } = call.arguments()?;
    Ok(text("x".repeat(bytes.min(LARGEST_BYTES))))
}

async fn cut(call: Call) -> Answer {
    call.progress(1.0, 2.0).await;
    sleep(HEAD_START).await;
    match call.response() {
        Some(response) => response.cut(),
        None => {
            write_half_a_line();
            process::exit(1);
        }
    }
    sleep(HEAD_START).await;
    Ok(text("Nobody reads this."))
}

/// Past the transport, which only writes whole messages.
fn write_half_a_line() {
    let mut output = io::stdout().lock();
    // The process ends next, whether this was written or not.
    drop(output.write_all(br#"{"jsonrpc":"2.0","id":"#).and_then(|()| output.flush()));
}

/// SEP-1699. The modern era has no stream that could be resumed, and nothing is withheld from it.
async fn reconnection(call: Call) -> Answer {
    sleep(HEAD_START).await;
    if call.era() == Era::Legacy
        && let Some(response) = call.response()
    {
        response.end();
        sleep(HEAD_START).await;
    }
    Ok(text("The answer came after all."))
}

#[derive(Deserialize)]
struct Crash {
    #[serde(default = "one")]
    code: i32,
}

fn one() -> i32 {
    1
}

async fn crash(call: Call) -> Answer {
    let Crash { code } = call.arguments()?;
    call.progress(1.0, 2.0).await;
    sleep(HEAD_START).await;
    process::exit(code)
}
