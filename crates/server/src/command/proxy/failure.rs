//! Why a request got no answer, in the words that the person at the client reads.

use http::StatusCode;
use serde_json::{Value, json};
use thiserror::Error;
use trunkline_web::EgressError;

/// The hub could not be asked, or its answer was not one of MCP.
const NO_ANSWER: i64 = -31_002;
/// The hub refused the request before it reached MCP.
const REFUSED: i64 = -31_003;
/// More requests at once than the relay carries.
const BUSY: i64 = -31_001;

/// Words of the hub that are passed on, in characters.
const LONGEST_DETAIL: usize = 500;

/// Why a message was not answered.
#[derive(Debug, Error)]
pub(super) enum Failure {
    #[error("{0}. Is the hub running there? It is started with `trunkline serve`.")]
    Unreachable(EgressError),
    #[error("{0}. The request may have been carried out; look before you repeat it.")]
    BrokenOff(EgressError),
    #[error("the hub ended its answer before the result of this request; it may have been carried out")]
    Unanswered,
    #[error(
        "the answer to this request is larger than {limit} bytes, which is more than this bridge carries"
    )]
    TooLarge { limit: usize },
    #[error("{}", refusal(*.status, .detail.as_deref(), .key_env, *.with_key))]
    Refused {
        status: StatusCode,
        detail: Option<String>,
        /// The variable that the key comes from, and whether there was one.
        key_env: String,
        with_key: bool,
    },
    #[error("the hub accepted the request without answering it (HTTP {0})")]
    NoContent(StatusCode),
    #[error("too many requests are waiting for answers ({most}); repeat it when some have come")]
    Busy { most: usize },
}

impl From<EgressError> for Failure {
    fn from(error: EgressError) -> Self {
        if error.provably_not_sent() { Self::Unreachable(error) } else { Self::BrokenOff(error) }
    }
}

impl Failure {
    /// The JSON-RPC error for the request `id`.
    pub(super) fn to_message(&self, id: &Value) -> Vec<u8> {
        let code = match self {
            Self::Unreachable(_)
            | Self::BrokenOff(_)
            | Self::Unanswered
            | Self::TooLarge { .. }
            | Self::NoContent(_) => NO_ANSWER,
            Self::Refused { .. } => REFUSED,
            Self::Busy { .. } => BUSY,
        };
        let mut error = json!({ "code": code, "message": self.to_string() });
        if let Self::Refused { status, .. } = self {
            error["data"] = json!({ "httpStatus": status.as_u16() });
        }
        json!({ "jsonrpc": "2.0", "id": id, "error": error }).to_string().into_bytes()
    }
}

fn refusal(status: StatusCode, detail: Option<&str>, key_env: &str, with_key: bool) -> String {
    let advice = match status {
        StatusCode::UNAUTHORIZED if with_key => {
            format!(
                "The hub does not accept the key in {key_env}; make one with `trunkline key create` and set it there."
            )
        }
        StatusCode::UNAUTHORIZED => {
            format!("The hub asks for a key; set the environment variable {key_env} to one.")
        }
        StatusCode::FORBIDDEN => "The hub does not allow this.".to_owned(),
        StatusCode::NOT_FOUND => {
            "The hub has no such endpoint for you; check the profile's name in the URL.".to_owned()
        }
        StatusCode::TOO_MANY_REQUESTS => "The hub asks to slow down; repeat it later.".to_owned(),
        _ if status.is_redirection() => {
            "The URL leads elsewhere; use the address it redirects to.".to_owned()
        }
        _ if status.is_server_error() => "The hub has a problem of its own; see its log.".to_owned(),
        _ => "The hub refused the request; check that the URL is an MCP endpoint (…/mcp/PROFILE).".to_owned(),
    };
    match detail {
        Some(detail) => format!("{advice} (HTTP {}: {detail})", status.as_u16()),
        None => format!("{advice} (HTTP {})", status.as_u16()),
    }
}

/// What the hub says about a refusal: the detail of problem+json (RFC 9457),
/// or the message of a JSON-RPC or OAuth error.
pub(super) fn detail_of(body: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(body).ok()?;
    let words = ["/detail", "/error/message", "/error_description", "/title", "/error"]
        .iter()
        .find_map(|path| value.pointer(path)?.as_str())?;
    Some(words.chars().filter(|character| !character.is_control()).take(LONGEST_DETAIL).collect())
}
