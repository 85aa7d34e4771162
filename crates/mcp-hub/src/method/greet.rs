//! The first words with a client: `initialize` (2025-11-25, basic/lifecycle)
//! and `server/discover` (2026-07-28, basic/versioning). Both are answered at
//! once from what is known; the profile's servers start behind the answer.

use bytes::Bytes;
use http::StatusCode;
use serde_json::value::RawValue;
use trunkline_model::Reason;

use super::{Request, capability, invalid};
use crate::catalog::view::{self, Gap, View};
use crate::downstream::answer::{Answer, RpcError, result_message};
use crate::jsonrpc::{code, meta, text};
use crate::upstream::handshake::{LEGACY_VERSION, LEGACY_VERSIONS, MODERN_VERSION};

/// How long a modern client may keep what `server/discover` said, in milliseconds.
const TTL_MS: u32 = 30_000;
/// A session's id carries what its client can be asked for: no more than this, in bytes.
const LONGEST_CAPABILITIES: usize = 4096;

/// Answers `initialize` and begins the session.
pub(crate) async fn initialize(mut request: Request, wants_session: bool) -> Answer {
    let (asked, capabilities_of_client) = match what_it_says(&request) {
        Ok(said) => said,
        Err(error) => return request.refuse(Reason::BadRequest, None, &error),
    };
    let version = LEGACY_VERSIONS.into_iter().find(|known| *known == asked).unwrap_or(LEGACY_VERSION);
    let mut token = None;
    if wants_session {
        match request.hub.sessions.begin(&request.caller, version, capabilities_of_client) {
            Some((id, session)) => {
                token = Some(id);
                request.session = Some(session);
            }
            None => {
                let error = RpcError::new(code::INTERNAL_ERROR, "a session could not be made")
                    .status(StatusCode::INTERNAL_SERVER_ERROR);
                return error.answer(Some(request.id()));
            }
        }
    } else if let (Some(session), Some(capabilities)) = (&request.session, capabilities_of_client) {
        session.declare(capabilities);
    }
    let view = request.hub.view_now(&request);
    let result = format!(
        "{{\"protocolVersion\":\"{version}\",\"capabilities\":{},\"serverInfo\":{}{}}}",
        capability::of(&request, &view),
        server_info(&request, &view),
        instructions(&request, &view),
    );
    let body = result_message(request.id(), Bytes::from(result));
    Answer::Message { status: StatusCode::OK, body, session: token }
}

/// The version that the client asks for, and what it can be asked for.
fn what_it_says(request: &Request) -> Result<(String, Option<Box<RawValue>>), RpcError> {
    let fields = request.fields(["protocolVersion", "capabilities", "clientInfo"])?;
    let version = fields.string(0).map_err(|fault| invalid(fault.to_string()))?;
    let version = version.ok_or_else(|| invalid("initialize needs a \"protocolVersion\""))?;
    let capabilities = fields.raw(1).filter(|raw| raw.starts_with('{'));
    if capabilities.is_some_and(|raw| raw.len() > LONGEST_CAPABILITIES) {
        return Err(invalid(format!("\"capabilities\" has more than {LONGEST_CAPABILITIES} bytes")));
    }
    let capabilities = capabilities.and_then(|raw| RawValue::from_string(raw.to_owned()).ok());
    Ok((version.into_owned(), capabilities))
}

/// Answers `server/discover`.
pub(super) fn discover(request: &Request) -> Answer {
    let view = request.hub.view_now(request);
    let result = format!(
        "{{\"resultType\":\"complete\",\"supportedVersions\":[\"{MODERN_VERSION}\"],\"capabilities\":{}{},\
         \"ttlMs\":{TTL_MS},\"cacheScope\":\"private\",\"_meta\":{{{}:{}}}}}",
        capability::of(request, &view),
        instructions(request, &view),
        text(meta::SERVER_INFO),
        server_info(request, &view),
    );
    Answer::result(request.id(), Bytes::from(result))
}

/// The profile's own name, short and different for each profile, because
/// clients build tool names from it; a transparent profile passes its server's.
fn server_info(request: &Request, view: &View) -> String {
    if view::is_transparent(&request.profile)
        && let Some((_, greeting)) = view.greetings.first()
        && let Some(info) = &greeting.server_info
    {
        return String::from_utf8_lossy(info).into_owned();
    }
    format!(
        "{{\"name\":{},\"title\":{},\"version\":\"{}\"}}",
        text(request.profile.name().as_str()),
        text(request.profile.name().as_str()),
        env!("CARGO_PKG_VERSION")
    )
}

/// What the model can tell a person about a server that waits for them.
fn waiting(gap: &Gap) -> Option<String> {
    let link = gap.connect_at.as_deref()?;
    Some(format!("The tools of this server are not listed until the user has connected it at {link}"))
}

/// What the servers tell the model about themselves, each under its name.
fn instructions(request: &Request, view: &View) -> String {
    let mut told: Vec<(&str, String)> = view
        .greetings
        .iter()
        .filter_map(|(server, greeting)| {
            let words: String = serde_json::from_slice(greeting.instructions.as_deref()?).ok()?;
            Some((server.as_str(), words))
        })
        .collect();
    told.extend(view.gaps.iter().filter_map(|gap| Some((gap.server.as_str(), waiting(gap)?))));
    let words = match told.as_slice() {
        [] => return String::new(),
        [(_, words)] if view::is_transparent(&request.profile) => words.clone(),
        several => several
            .iter()
            .map(|(server, words)| format!("# {server}\n\n{words}"))
            .collect::<Vec<_>>()
            .join("\n\n"),
    };
    format!(",\"instructions\":{}", text(&words))
}
