//! JSON texts of all kinds: what is random is how they are written, too.

use anyhow::Result;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// How deep a random value may be.
const DEEPEST: u32 = 8;

/// One call.
#[derive(Debug, Clone)]
pub(super) struct Case {
    /// Members of the arguments beside `result`.
    arguments: Vec<String>,
    /// What the server answers with: a JSON object.
    pub(super) result: String,
    /// Members of `_meta`; none where there is no `_meta`.
    meta: Option<Vec<String>>,
    /// Members of the parameters that nobody knows.
    unknown: Vec<String>,
    space: String,
}

impl Case {
    /// The parameters of the call. `own` are members of `_meta` that the
    /// client has to send.
    pub(super) fn params(&self, own: &str) -> String {
        let Self { arguments, result, meta, unknown, space } = self;
        let mut arguments = arguments.clone();
        arguments.push(format!("{space}\"result\":{result}"));
        let mut members = vec![r#""name":"echo""#.to_owned()];
        members.extend(unknown.iter().cloned());
        if meta.is_some() || !own.is_empty() {
            let mut meta = meta.clone().unwrap_or_default();
            // A modern client is refused when some reader cannot read a key of it.
            meta.push(if own.is_empty() {
                r#""vendor.example/\ud800":1"#.to_owned()
            } else {
                own.to_owned()
            });
            members.push(format!("\"_meta\"{space}:{{{}}}", meta.join(",")));
        }
        members.push(format!("\"arguments\":{{{}}}", arguments.join(",")));
        format!("{{{space}{}{space}}}", members.join(&format!("{space},")))
    }
}

pub(super) fn case() -> impl Strategy<Value = Case> {
    (
        vec(value(), 0..6).prop_map(|values| members("", &values)),
        result(),
        proptest::option::of(vec(value(), 0..4).prop_map(|values| members("vendor.example/", &values))),
        vec(value(), 0..3).prop_map(|values| members("x-", &values)),
        space(),
    )
        .prop_map(|(arguments, result, meta, unknown, space)| Case {
            arguments,
            result,
            meta,
            unknown,
            space,
        })
}

/// Entries of `tools/list` with members that nobody knows; the same each time.
pub(super) fn entries(count: usize) -> Result<Vec<String>> {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let entry = (vec(value(), 0..4), value(), space());
    let new = |number| {
        let (values, schema, space) =
            entry.new_tree(&mut runner).map_err(|reason| anyhow::anyhow!("{reason}"))?.current();
        let mut all = members("x-", &values);
        all.insert(all.len() / 2, format!("\"name\"{space}:\"tool_{number}\""));
        all.push(format!("\"inputSchema\":{{\"type\":\"object\",\"x-any\":{schema}}}"));
        anyhow::Ok(format!("{{{space}{}{space}}}", all.join(",")))
    };
    (0..count).map(new).collect()
}

/// A result of a tool: members that are known, and any others.
fn result() -> impl Strategy<Value = String> {
    let text = string().prop_map(|text| format!(r#""content":[{{"type":"text","text":{text}}}]"#));
    let structured = value().prop_map(|value| format!("\"structuredContent\":{value}"));
    let meta = vec(value(), 0..3)
        .prop_map(|values| format!("\"_meta\":{{{}}}", members("vendor.example/", &values).join(",")));
    let unknown = vec(value(), 0..4).prop_map(|values| members("x-", &values));
    let optional = (proptest::option::of(text), proptest::option::of(structured), proptest::option::of(meta));
    (optional, unknown, space()).prop_map(|((text, structured, meta), unknown, space)| {
        let members: Vec<_> = [text, structured, meta].into_iter().flatten().chain(unknown).collect();
        if members.is_empty() {
            "{}".to_owned()
        } else {
            format!("{{{}{space}}}", members.join(&format!(",{space}")))
        }
    })
}

/// Members with names of their own, which hold characters and escapes.
fn members(prefix: &str, values: &[String]) -> Vec<String> {
    const NAMES: [&str; 6] = ["plain", "größe", r"\u0061\/b", r"\ud83d\ude00", "a b.c", r#"quote\"d"#];
    let name = |index: usize| format!("{prefix}{}{index}", NAMES[index % NAMES.len()]);
    values.iter().enumerate().map(|(index, value)| format!("\"{}\":{value}", name(index))).collect()
}

pub(super) fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("false".to_owned()),
        number(),
        string(),
    ];
    leaf.prop_recursive(DEEPEST, 48, 5, |inner| {
        prop_oneof![
            (vec(inner.clone(), 0..5), space()).prop_map(|(items, space)| {
                format!("[{space}{}{space}]", items.join(&format!("{space},")))
            }),
            (vec((string(), inner), 0..5), space()).prop_map(|(members, space)| {
                // The names are told apart by what stands behind them.
                let members: Vec<_> = members
                    .iter()
                    .enumerate()
                    .map(|(at, (name, value))| format!("{}{at}\"{space}:{value}", &name[..name.len() - 1]))
                    .collect();
                format!("{{{}{space}}}", members.join(&format!(",{space}")))
            }),
        ]
    })
}

/// Numbers of any size, as integers, fractions and with exponents.
fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        "-?(0|[1-9][0-9]{0,40})",
        r"-?(0|[1-9][0-9]{0,20})\.[0-9]{1,30}",
        "-?[1-9][0-9]{0,3}[eE][+-]?[0-9]{1,4}",
        Just("1e400".to_owned()),
        Just("-0.0".to_owned()),
        Just("18446744073709551616".to_owned()),
        Just("-9223372036854775809".to_owned()),
        Just("9007199254740993".to_owned()),
    ]
}

/// A string with its quotes: characters, escapes, and half characters.
fn string() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[ -!#-\\[\\]-~]{1,8}",
        2 => "\\PC{1,4}".prop_map(|text: String| text.replace(['"', '\\'], "")),
        1 => Just(r#"\""#.to_owned()),
        1 => Just(r"\\".to_owned()),
        1 => Just(r"\/".to_owned()),
        1 => prop_oneof![Just(r"\b"), Just(r"\f"), Just(r"\n"), Just(r"\r"), Just(r"\t")].prop_map(str::to_owned),
        1 => "\\\\u00[0-9a-fA-F]{2}",
        1 => Just(r"\ud83d\ude00".to_owned()),
        1 => Just(r"\uD800".to_owned()),
        1 => Just("\u{2028}\u{feff}\u{202e}\u{7f}".to_owned()),
    ];
    vec(piece, 0..6).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
}

fn space() -> impl Strategy<Value = String> {
    prop_oneof![4 => Just(String::new()), 1 => "[ \t\r\n]{1,3}"]
}
