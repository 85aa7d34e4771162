//! `logging/setLevel` and which log messages pass (2025-11-25, server/utilities/logging).

use std::sync::Arc;

use trunkline_model::Reason;

use super::{Request, invalid};
use crate::downstream::answer::Answer;
use crate::jsonrpc::Fields;

/// RFC 5424 section 6.2.1, from the least to the most serious.
const LEVELS: [&str; 8] = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

/// The level's number, from 1; 0 means "never set".
fn number_of(level: &str) -> Option<u8> {
    LEVELS.iter().position(|known| *known == level).and_then(|index| u8::try_from(index + 1).ok())
}

/// The name of a level by its number.
pub(super) fn name_of(number: u8) -> Option<&'static str> {
    LEVELS.get(usize::from(number).checked_sub(1)?).copied()
}

/// Whether a `notifications/message` is at least as serious as `wanted`.
pub(super) fn passes(params: Option<&str>, wanted: &str) -> bool {
    let level = params.and_then(|params| {
        let fields = Fields::find(params, ["level"]).ok()?;
        number_of(&fields.string(0).ok()??)
    });
    // A level that the specification does not know is not held back.
    level.is_none() || level >= number_of(wanted)
}

/// Whether an unasked-for log message passes a session's level.
pub(crate) fn passes_number(params: Option<&str>, number: u8) -> bool {
    name_of(number).is_none_or(|wanted| passes(params, wanted))
}

pub(super) fn set_level(request: &Arc<Request>) -> Answer {
    let level = request.fields(["level"]).and_then(|fields| {
        let level = fields.string(0).map_err(|fault| invalid(fault.to_string()))?;
        level
            .as_deref()
            .and_then(number_of)
            .ok_or_else(|| invalid(format!("\"level\" must be one of {}", LEVELS.join(", "))))
    });
    match level {
        Ok(level) => {
            if let Some(session) = &request.session {
                session.subscriber.set_log_level(level);
                request.hub.spread_log_level(request);
            }
            Answer::result(request.id(), &b"{}"[..])
        }
        Err(error) => request.refuse(Reason::BadRequest, None, &error),
    }
}

/// The request that sets a server's level.
pub(crate) fn set_level_request(id: u64, number: u8) -> Option<bytes::Bytes> {
    let level = name_of(number)?;
    Some(bytes::Bytes::from(format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"logging/setLevel\",\"params\":{{\"level\":\"{level}\"}}}}"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_serious_messages_are_held_back() {
        assert!(passes(Some(r#"{"level":"error"}"#), "warning"));
        assert!(passes(Some(r#"{"level":"warning"}"#), "warning"));
        assert!(!passes(Some(r#"{"level":"info"}"#), "warning"));
        assert!(passes(Some(r#"{"level":"verbose"}"#), "warning"));
    }
}
