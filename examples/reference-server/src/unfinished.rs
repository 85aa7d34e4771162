//! Why a request got no complete answer.

use rmcp::ErrorData;
use rmcp::model::{CallToolResponse, CallToolResult, ContentBlock, ErrorCode, InputRequiredResult};

use crate::capability::Capability;
use crate::era::Era;

#[derive(Debug)]
pub(crate) enum Unfinished {
    /// The client must answer questions first, and then ask again. Modern era only.
    InputRequired(Box<InputRequiredResult>),
    /// The client did not declare what the request needs. The client's fault.
    Undeclared(Capability),
    /// What the one who called should read: arguments that make no sense, a client that refused to answer.
    Refused(String),
    /// A fault of the protocol or of this server.
    Error(ErrorData),
}

impl From<ErrorData> for Unfinished {
    fn from(error: ErrorData) -> Self {
        Self::Error(error)
    }
}

impl Unfinished {
    /// As the answer to a call. What the caller can mend is an answer of the tool that a model can read.
    pub(crate) fn into_call_answer(self, era: Era) -> Result<CallToolResponse, ErrorData> {
        match self {
            Self::InputRequired(result) => Ok((*result).into()),
            Self::Undeclared(capability) if era == Era::Legacy => {
                Ok(failure(format!("The client did not declare {}.", capability.name())).into())
            }
            Self::Refused(reason) => Ok(failure(reason).into()),
            Self::Undeclared(capability) => Err(undeclared(capability)),
            Self::Error(error) => Err(error),
        }
    }

    /// As the answer to a request other than a call; `R` has the shape with questions.
    pub(crate) fn into_answer<R: From<InputRequiredResult>>(self, era: Era) -> Result<R, ErrorData> {
        match self {
            Self::InputRequired(result) => Ok((*result).into()),
            Self::Undeclared(capability) if era == Era::Legacy => {
                let reason = format!("the client did not declare {}", capability.name());
                Err(ErrorData::invalid_request(reason, None))
            }
            Self::Undeclared(capability) => Err(undeclared(capability)),
            Self::Refused(reason) => Err(ErrorData::invalid_params(reason, None)),
            Self::Error(error) => Err(error),
        }
    }
}

fn failure(reason: String) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(reason)])
}

/// `-32021`, MCP 2026-07-28.
fn undeclared(capability: Capability) -> ErrorData {
    let data = serde_json::json!({ "requiredCapabilities": capability.declaration() });
    ErrorData::new(
        ErrorCode::MISSING_REQUIRED_CLIENT_CAPABILITY,
        format!("the request needs {}, which the client did not declare", capability.name()),
        Some(data),
    )
}
