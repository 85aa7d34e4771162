//! Arguments that a tool wants mirrored in headers (2026-07-28,
//! basic/transports/streamable-http, "custom headers from tool parameters").

use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;

use http::HeaderMap;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use trunkline_model::ServerName;

use super::lists::Entry;
use crate::downstream::modern::decoded;
use crate::jsonrpc::unquote;

mod annotations;

pub(crate) use annotations::of_tool;

/// What the names of such headers begin with.
pub(crate) const PREFIX: &str = "mcp-param-";
/// Whole numbers up to this size are the same in every reader (2^53).
const SAFE: f64 = 9_007_199_254_740_992.0;

/// One argument and the header that repeats it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mirrored {
    /// [`PREFIX`] and what the annotation says, in lower case.
    pub header: String,
    /// The properties that lead to the argument.
    path: Vec<String>,
}

/// What an argument says, as its header does.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    Text(String),
    Number(String),
}

/// Leaves out the tools that a client over HTTP must not show: those whose
/// annotations are not as the specification wants them.
pub(crate) fn reject_invalid(tools: &mut Vec<Entry>, server: &ServerName) {
    tools.retain(|tool| match of_tool(&tool.json) {
        Ok(_) => true,
        Err(reason) => {
            tracing::warn!(%server, tool = tool.key, reason, "a tool with an invalid x-mcp-header is left out");
            false
        }
    });
}

/// The headers for these arguments, raw JSON; an argument that is absent, null
/// or neither text, number nor boolean has none.
///
/// # Errors
/// In words, which argument two readers could read differently.
pub(crate) fn headers(
    mirrored: &[Mirrored],
    arguments: Option<&str>,
) -> Result<Vec<(String, String)>, String> {
    let mut headers = Vec::new();
    for one in mirrored {
        if let Some(Said::Text(text) | Said::Number(text)) = one.said(arguments)? {
            headers.push((one.header.clone(), text));
        }
    }
    Ok(headers)
}

/// Whether a client's headers say what its arguments say.
///
/// # Errors
/// In words, which header does not.
pub(crate) fn check(mirrored: &[Mirrored], arguments: Option<&str>, sent: &HeaderMap) -> Result<(), String> {
    for one in mirrored {
        let header = &one.header;
        let mut values = sent.get_all(header).iter();
        let (value, second) = (values.next(), values.next());
        if second.is_some() {
            return Err(format!("the header {header} stands twice"));
        }
        let wanted = one.said(arguments)?;
        let said = value.map(|value| value.to_str().ok().and_then(decoded));
        match (wanted, said) {
            (None, None) => {}
            (Some(wanted), Some(Some(said))) if wanted.is(&said) => {}
            (Some(_), None) => return Err(format!("the header {header} is missing")),
            _ => return Err(format!("the header {header} and the argument that it repeats differ")),
        }
    }
    Ok(())
}

impl Mirrored {
    /// What the argument says; none when there is nothing to repeat.
    fn said(&self, arguments: Option<&str>) -> Result<Option<Said>, String> {
        let Some(mut value) = arguments else { return Ok(None) };
        for name in &self.path {
            if !value.starts_with('{') {
                return Ok(None);
            }
            let found = member(value, name).map_err(|Unclear| {
                format!("the argument {:?} cannot be read, or stands twice", self.path.join("."))
            })?;
            let Some(inner) = found else { return Ok(None) };
            value = inner;
        }
        match value.as_bytes().first() {
            Some(b'"') => match unquote(value) {
                Some(text) => Ok(Some(Said::Text(text.into_owned()))),
                None => Err(format!("the argument {:?} is not readable text", self.path.join("."))),
            },
            Some(b't' | b'f') => Ok(Some(Said::Text(value.to_owned()))),
            Some(b'-' | b'0'..=b'9') => Ok(Some(Said::Number(decimal(value)))),
            _ => Ok(None),
        }
    }
}

impl Said {
    /// Numbers are compared as numbers, all else letter by letter.
    fn is(&self, header: &str) -> bool {
        match self {
            Self::Text(text) => text == header,
            Self::Number(text) => text == header || same_number(text, header),
        }
    }
}

fn same_number(one: &str, other: &str) -> bool {
    if let (Ok(one), Ok(other)) = (one.parse::<i128>(), other.parse::<i128>()) {
        return one == other;
    }
    let value = |text: &str| text.parse::<f64>().ok().filter(|value| value.abs() < SAFE);
    match (value(one), value(other)) {
        (Some(one), Some(other)) => one.partial_cmp(&other).is_some_and(Ordering::is_eq),
        _ => false,
    }
}

/// A number in decimals, where it was written with an exponent and is whole.
fn decimal(number: &str) -> String {
    let value = number.contains(['e', 'E']).then(|| number.parse::<f64>().ok()).flatten();
    match value.filter(|value| value.abs() < SAFE && value.fract() == 0.0) {
        Some(whole) => format!("{whole:.0}"),
        None => number.to_owned(),
    }
}

/// The object cannot be read, or the member stands twice: another reader might
/// see the other one.
struct Unclear;

type Found<'a> = Result<Option<&'a str>, Unclear>;

/// The one member of that name, which may be absent.
fn member<'a>(object: &'a str, name: &str) -> Found<'a> {
    struct One<'n>(&'n str);
    impl<'de> DeserializeSeed<'de> for One<'_> {
        type Value = Found<'de>;
        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_map(self)
        }
    }
    impl<'de> Visitor<'de> for One<'_> {
        type Value = Found<'de>;
        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = None;
            let mut twice = false;
            while let Some(key) = map.next_key::<Cow<'de, str>>()? {
                let value: &'de RawValue = map.next_value()?;
                if key == self.0 {
                    twice |= found.replace(value.get()).is_some();
                }
            }
            Ok(if twice { Err(Unclear) } else { Ok(found) })
        }
    }
    let read = One(name).deserialize(&mut serde_json::Deserializer::from_str(object));
    read.unwrap_or(Err(Unclear))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    const ENTRY: &[u8] = br#"{"name":"t","inputSchema":{"properties":{
        "region":{"type":"string","x-mcp-header":"Region"},"count":{"type":"integer","x-mcp-header":"Count"}}}}"#;
    const REGION: (&str, &str) = ("mcp-param-region", "eu");

    fn checked(arguments: &str, sent: &[(&'static str, &'static str)]) -> bool {
        let sent =
            sent.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        check(&of_tool(ENTRY).unwrap(), Some(arguments), &sent.collect()).is_ok()
    }

    #[test]
    fn headers_must_say_what_the_arguments_say() {
        assert!(checked(r#"{"region":"eu","count":3}"#, &[REGION, ("mcp-param-count", "+3")]));
        assert!(checked(r#"{"region":"ü"}"#, &[("mcp-param-region", "=?base64?w7w=?=")]));
        assert!(checked(r#"{"region":null}"#, &[]));
        assert!(!checked(r#"{"region":"eu"}"#, &[]), "missing");
        assert!(!checked(r#"{"region":"us"}"#, &[REGION]));
        assert!(!checked("{}", &[REGION]), "repeats nothing");
        assert!(!checked(r#"{"region":"eu"}"#, &[("mcp-param-region", "=?base64?w7w?=")]), "bad padding");
    }

    #[test]
    fn numbers_are_compared_as_numbers_and_text_is_not() {
        let count = |arguments: &str, said: &'static str| checked(arguments, &[("mcp-param-count", said)]);
        for said in ["42", "42.0", "4.2e1", "+42"] {
            assert!(count(r#"{"count":42}"#, said), "{said}");
            assert!(count(r#"{"count":42.0}"#, said), "{said}");
        }
        assert!(!count(r#"{"count":42}"#, "43"));
        assert!(!count(r#"{"count":9007199254740993}"#, "9007199254740992.0"), "the same only when rounded");
        assert!(!count(r#"{"count":9007199254740993}"#, "9007199254740992"));
        assert!(!checked(r#"{"region":"007"}"#, &[("mcp-param-region", "7")]), "text is no number");
        assert!(checked(r#"{"region":"007"}"#, &[("mcp-param-region", "007")]));
    }

    #[test]
    fn arguments_beside_it_that_some_readers_cannot_read_hide_nothing() {
        for beside in [r#""x":1e400"#, r#""x":"\ud800""#, r#""x":{"a":1,"a":2}"#] {
            let arguments = format!(r#"{{"region":"us",{beside}}}"#);
            assert!(!checked(&arguments, &[]), "{beside}");
            assert!(!checked(&arguments, &[REGION]), "{beside}");
            assert!(checked(&arguments, &[("mcp-param-region", "us")]), "{beside}");
        }
        for unclear in [
            r#"{"region":"us","region":"eu"}"#,
            r#"{"region":"eu","r\u0065gion":"us"}"#,
            r#"{"region":"eu\ud800"}"#,
        ] {
            assert!(!checked(unclear, &[REGION]), "{unclear}");
            assert!(headers(&of_tool(ENTRY).unwrap(), Some(unclear)).is_err(), "{unclear}");
        }
    }

    #[test]
    fn annotated_arguments_are_mirrored() {
        let entry = br#"{"name":"t","inputSchema":{"type":"object","properties":{
            "region":{"type":"string","x-mcp-header":"Region"},
            "options":{"type":"object","properties":{"dry":{"type":"boolean","x-mcp-header":"Dry"}}},
            "count":{"type":"integer","x-mcp-header":"Count"},
            "gone":{"type":"string","x-mcp-header":"Gone"}}}}"#;
        let mirrored = of_tool(entry).unwrap();
        let arguments = r#"{"region":"eu","options":{"dry":true},"count":3e1,"gone":null}"#;
        let mut headers = headers(&mirrored, Some(arguments)).unwrap();
        headers.sort();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            headers,
            [pair("mcp-param-count", "30"), pair("mcp-param-dry", "true"), pair("mcp-param-region", "eu")]
        );
        assert!(headers_of(&mirrored, "7").is_empty());
    }

    fn headers_of(mirrored: &[Mirrored], arguments: &str) -> Vec<(String, String)> {
        super::headers(mirrored, Some(arguments)).unwrap()
    }
}
