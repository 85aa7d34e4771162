//! What the fuzz targets reach beyond the public interface.

use ::http::{HeaderMap, HeaderValue};
use bytes::Bytes;
use uuid::Uuid;

use crate::bridge::input::{self, InputRequired};
use crate::catalog::mirrored;
use crate::downstream::modern;
use crate::jsonrpc::Message;
use crate::upstream::http;

/// Checks the headers of a request of the modern era against its body.
///
/// # Errors
/// The JSON-RPC code of the refusal.
pub fn check_headers(headers: &HeaderMap, message: &Message) -> Result<(), i64> {
    modern::check(headers, message).map_err(|error| error.code)
}

/// `value` as the hub writes it into a header for a server.
pub fn encode_header(value: &str) -> HeaderValue {
    http::encode_header(value)
}

/// The annotations of a tool's entry.
#[derive(Debug)]
pub struct Mirrored(Vec<mirrored::Mirrored>);

impl Mirrored {
    /// None when the tool must not be shown.
    pub fn of_tool(entry: &[u8]) -> Option<Self> {
        mirrored::of_tool(entry).ok().map(Self)
    }

    /// The names of the headers, in lower case.
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(|one| one.header.as_str()).collect()
    }

    /// The headers for a server, as names and values not yet encoded; none
    /// when the arguments can be read in two ways.
    pub fn headers(&self, arguments: &str) -> Option<Vec<(String, String)>> {
        mirrored::headers(&self.0, Some(arguments)).ok()
    }

    /// Whether a client's headers say what its arguments say.
    pub fn check(&self, arguments: &str, sent: &HeaderMap) -> bool {
        mirrored::check(&self.0, Some(arguments), sent).is_ok()
    }
}

/// What a server asks for: by key, the method and the parameters for a legacy
/// client; and what it wants back. None when it cannot be read.
pub fn asked(result: &str) -> Option<(Vec<Question>, Option<String>)> {
    let asked = InputRequired::read(result)?;
    let question = |input: input::InputRequest| {
        let params = input.legacy_params(Uuid::nil());
        (input.key, input.method, params)
    };
    Some((asked.requests.into_iter().map(question).collect(), asked.state))
}

/// Key, method and raw parameters.
pub type Question = (String, String, Option<String>);

/// A result that asks a modern client.
pub fn asking(questions: &[Question], state: &str) -> Bytes {
    input::result(questions, state)
}

/// The parameters of a request with answers by key, and the state, raw JSON.
pub fn retried(params: &str, answers: &[(String, String)], state: Option<&str>) -> String {
    input::with_members(params, &input::retry_members(answers, state))
}

/// The answers in the parameters of a client's request, raw JSON by key.
pub fn answers(params: &str) -> Vec<(String, String)> {
    let by_key = input::responses(params).into_iter();
    by_key.map(|(key, raw)| (key, raw.get().to_owned())).collect()
}
