//! A request whose server waits for a consent: the client is told where to
//! connect it, in the way that it understands (2026-07-28 and 2025-11-25,
//! client/elicitation, "URL mode").

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;
use trunkline_model::Outcome;
use trunkline_profiles::Kind;

use super::conclude::Concluded;
use super::forward::Destination;
use super::{Request, url_elicitation};
use crate::bridge::declared::lacking;
use crate::downstream::answer::{RpcError, result_message};
use crate::jsonrpc::{code, text};
use crate::upstream::Era;

const ELICIT: &str = "elicitation/create";

/// What the client hears instead of an answer.
pub(super) fn ask(request: &Request, destination: &Destination, reason: &str, link: &str) -> Concluded {
    let server = &destination.server;
    let detail = format!("server {server} needs sign-in: {reason}");
    let outcome = Outcome::Unreachable { detail };
    let page = json!({
        "mode": "url",
        "elicitationId": request.request_id,
        "url": link,
        "message": format!("Connect {server} to this hub: {reason}."),
    });
    let opens_pages = lacking(request.declared(), ELICIT, Some(&page.to_string())).is_none();
    let words = format!("{server} is not connected ({reason}). Open {link} in a browser, then try again.");
    if opens_pages {
        let error = json!({
            "code": code::URL_ELICITATION_REQUIRED,
            "message": words,
            "data": { "elicitations": [page] },
        });
        match request.era {
            Era::Modern => {
                if let Ok(result) = url_elicitation::ask(request, destination, &error.to_string()) {
                    return concluded(outcome, request, result);
                }
            }
            Era::Legacy => {
                let error =
                    RpcError::new(code::URL_ELICITATION_REQUIRED, words).data(error["data"].to_string());
                let pieces = error.body(Some(request.id()));
                return Concluded { outcome, status: StatusCode::OK, pieces, bytes: 0 };
            }
        }
    }
    if destination.kind == Kind::Tool {
        let mut result = json!({ "content": [{ "type": "text", "text": words }], "isError": true });
        if request.era == Era::Modern {
            result["resultType"] = "complete".into();
        }
        return concluded(outcome, request, Bytes::from(result.to_string()));
    }
    let data = format!(
        "{{\"server\":{},\"kind\":\"needs_consent\",\"retryIsSafe\":true,\"connectUrl\":{}}}",
        text(server.as_str()),
        text(link)
    );
    let pieces = RpcError::new(code::INTERNAL_ERROR, words).data(data).body(Some(request.id()));
    Concluded { outcome, status: StatusCode::OK, pieces, bytes: 0 }
}

fn concluded(outcome: Outcome, request: &Request, result: Bytes) -> Concluded {
    let pieces = result_message(request.id(), result);
    Concluded { outcome, status: StatusCode::OK, pieces, bytes: 0 }
}
