//! What the relay has to know of a message that it passes on unchanged.

use serde::Deserialize;
use serde_json::Value;

use super::modern::Modern;

/// One message from the client.
#[derive(Debug, PartialEq)]
pub(super) enum Envelope {
    Request(Request),
    /// `notifications/cancelled`, with the id of the request that it ends.
    Cancel(Value),
    /// The client is ready for messages that answer nothing it asked.
    Initialized,
    /// Any other notification, an answer, or a batch: nothing comes back for it.
    OneWay,
}

#[derive(Debug, PartialEq)]
pub(super) struct Request {
    pub(super) id: Value,
    pub(super) method: String,
    /// Present for revision 2026-07-28 and later.
    pub(super) modern: Option<Modern>,
}

#[derive(Deserialize)]
struct Outline {
    id: Option<Value>,
    method: Option<String>,
    #[serde(default)]
    params: Params,
}

/// `params`, of which only these few are looked at.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Params {
    pub(super) name: Option<Value>,
    pub(super) uri: Option<Value>,
    pub(super) task_id: Option<Value>,
    request_id: Option<Value>,
    #[serde(rename = "_meta")]
    pub(super) meta: Option<Value>,
}

impl Envelope {
    /// # Errors
    /// The line is not JSON.
    pub(super) fn of(message: &[u8]) -> Result<Self, serde_json::Error> {
        let outline = match serde_json::from_slice::<Outline>(message) {
            Ok(outline) => outline,
            // A batch, or something that the hub shall judge.
            Err(error) if error.is_data() => return Ok(Self::OneWay),
            Err(error) => return Err(error),
        };
        let Some(method) = outline.method else { return Ok(Self::OneWay) };
        Ok(match outline.id {
            Some(id) => Self::Request(Request { modern: Modern::of(&method, &outline.params), id, method }),
            None if method == "notifications/initialized" => Self::Initialized,
            None if method == "notifications/cancelled" => match outline.params.request_id {
                Some(id) => Self::Cancel(id),
                None => Self::OneWay,
            },
            None => Self::OneWay,
        })
    }
}

/// Whether a message from the hub is the answer to the request `id`.
pub(super) fn answers(message: &[u8], id: &Value) -> bool {
    #[derive(Deserialize)]
    struct Answer {
        id: Option<Value>,
        method: Option<serde::de::IgnoredAny>,
    }
    serde_json::from_slice::<Answer>(message)
        .is_ok_and(|answer| answer.method.is_none() && answer.id.as_ref() == Some(id))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_kind_is_told_apart() {
        let of = |text: &str| Envelope::of(text.as_bytes()).unwrap();
        let ping = Request { id: json!("a"), method: "ping".to_owned(), modern: None };
        assert_eq!(of(r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#), Envelope::Request(ping));
        assert_eq!(
            of(r#"{"method":"notifications/cancelled","params":{"requestId":7,"reason":"x"}}"#),
            Envelope::Cancel(json!(7))
        );
        assert_eq!(of(r#"{"method":"notifications/initialized"}"#), Envelope::Initialized);
        for one_way in
            [r#"{"id":1,"result":{}}"#, r#"[{"id":1,"method":"ping"}]"#, r#"{"method":"notifications/x"}"#]
        {
            assert_eq!(of(one_way), Envelope::OneWay, "{one_way}");
        }
        assert!(Envelope::of(b"{").is_err());
    }

    #[test]
    fn only_an_answer_answers() {
        assert!(answers(br#"{"id":1,"result":{}}"#, &json!(1)));
        assert!(answers(br#"{"id":"\u0061","error":{}}"#, &json!("a")));
        assert!(!answers(br#"{"id":1,"method":"ping"}"#, &json!(1)));
        assert!(!answers(br#"{"id":"1","result":{}}"#, &json!(1)));
        assert!(!answers(b"{", &json!(1)));
    }
}
