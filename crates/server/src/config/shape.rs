//! Holds a tree against the JSON Schema: reports every key and value that does
//! not fit, and makes JSON of all that does.

use std::collections::HashMap;

use serde_json::{Map, Value as Json};

use super::path::Path;
use super::problem::{Position, Problem, nearest, suggestion};
use super::tree::{Key, Node, Scalar, Value};

/// Where each value of the file stands, and how it is written there.
#[derive(Debug, Default)]
pub(super) struct Places(HashMap<Path, Place>);

#[derive(Debug)]
struct Place {
    at: Position,
    /// A scalar before its `${…}` were filled in.
    written: Option<String>,
}

impl Places {
    /// The place of the value at `path`, or of what it would stand in.
    pub(super) fn position(&self, path: &Path) -> Option<Position> {
        let mut path = path.clone();
        loop {
            if let Some(place) = self.0.get(&path) {
                return Some(place.at);
            }
            if path.is_root() {
                return None;
            }
            path = path.parent();
        }
    }

    /// The scalar at `path` as the file has it: no value from the environment is in it.
    pub(super) fn written(&self, path: &Path) -> &str {
        self.0.get(path).and_then(|place| place.written.as_deref()).unwrap_or("…")
    }

    pub(super) fn contains(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }
}

/// What came of holding a tree against the schema.
#[derive(Debug)]
pub(super) struct Shaped {
    /// Everything that fitted.
    pub(super) json: Json,
    pub(super) places: Places,
    pub(super) problems: Vec<Problem>,
    /// What `problems` are about.
    pub(super) broken: Vec<Path>,
}

/// Holds `node` against `schema`.
pub(super) fn shape(schema: &Json, node: &Node) -> Shaped {
    let mut shaper =
        Shaper { root: schema, places: Places::default(), problems: Vec::new(), broken: Vec::new() };
    let json = match node.value {
        // an empty file is an empty configuration
        Value::Null => Json::Object(Map::new()),
        _ => shaper.value(schema, node, &Path::root()).unwrap_or_else(|| Json::Object(Map::new())),
    };
    Shaped { json, places: shaper.places, problems: shaper.problems, broken: shaper.broken }
}

struct Shaper<'a> {
    root: &'a Json,
    places: Places,
    problems: Vec<Problem>,
    broken: Vec<Path>,
}

impl<'a> Shaper<'a> {
    fn value(&mut self, schema: &'a Json, node: &Node, path: &Path) -> Option<Json> {
        let written = match &node.value {
            Value::Scalar(scalar) => Some(scalar.as_written().to_owned()),
            _ => None,
        };
        self.places.0.insert(path.clone(), Place { at: node.at, written });
        let branches = branches(self.root, schema);
        match &node.value {
            Value::Unresolved => {
                self.broken.push(path.clone());
                None
            }
            Value::Null if branches.iter().any(|branch| allows(branch, "null")) => Some(Json::Null),
            Value::Null => {
                self.report(node.at, path, format!("has no value; expected {}", expected(&branches)), None);
                self.stand_in(&branches)
            }
            Value::Scalar(scalar) => self.scalar(&branches, scalar, node.at, path),
            Value::Sequence(items) => self.sequence(&branches, items, node.at, path),
            Value::Mapping(entries) => self.mapping(&branches, entries, node.at, path),
        }
    }

    fn scalar(&mut self, branches: &[&'a Json], scalar: &Scalar, at: Position, path: &Path) -> Option<Json> {
        let words: Vec<&str> = branches.iter().flat_map(|branch| words(branch)).collect();
        let text = scalar.text.as_str();
        if words.contains(&text)
            || branches.iter().any(|branch| allows(branch, "string") && !is_choice(branch))
        {
            return Some(Json::String(text.to_owned()));
        }
        if branches.iter().any(|branch| allows(branch, "boolean"))
            && let Ok(value) = text.parse::<bool>()
        {
            return Some(Json::Bool(value));
        }
        if let Some(branch) = branches.iter().find(|branch| allows(branch, "integer"))
            && let Some(value) = integer(branch, text)
        {
            return Some(Json::Number(value.into()));
        }
        let written = scalar.as_written();
        let help = nearest(written, words.iter().copied()).map(|word| format!("did you mean `{word}`?"));
        self.report(at, path, format!("{written:?} is not {}", expected(branches)), help);
        self.stand_in(branches)
    }

    fn sequence(&mut self, branches: &[&'a Json], items: &[Node], at: Position, path: &Path) -> Option<Json> {
        let Some(branch) = branches.iter().find(|branch| allows(branch, "array")) else {
            self.report(at, path, format!("is a list; expected {}", expected(branches)), None);
            return self.stand_in(branches);
        };
        if items.is_empty() && branch.get("minItems").and_then(Json::as_u64).unwrap_or(0) > 0 {
            self.report(at, path, "is an empty list".to_owned(), None);
        }
        let anything = &Json::Null;
        let schema = branch.get("items").unwrap_or(anything);
        let items = items.iter().enumerate();
        Some(items.filter_map(|(index, item)| self.value(schema, item, &path.index(index))).collect())
    }

    fn mapping(
        &mut self,
        branches: &[&'a Json],
        entries: &[(Key, Node)],
        at: Position,
        path: &Path,
    ) -> Option<Json> {
        let objects: Vec<&Json> =
            branches.iter().copied().filter(|branch| allows(branch, "object")).collect();
        let has_key_of =
            |branch: &&&Json| entries.iter().any(|(key, _)| property(branch, &key.text).is_some());
        let Some(branch) = objects.iter().find(has_key_of).or(objects.first()).copied() else {
            self.report(at, path, format!("is a mapping; expected {}", expected(branches)), None);
            return self.stand_in(branches);
        };
        let known: Vec<&str> = objects.iter().flat_map(|object| properties(object)).collect();
        let mut json = Map::new();
        for (key, value) in entries {
            let inner = path.key(&key.text);
            if let Some(schema) = property(branch, &key.text).or_else(|| any_key(branch)) {
                if let Some(fitting) = self.value(schema, value, &inner) {
                    json.insert(key.text.clone(), fitting);
                }
                // a block starts on a line below its key: the key is the better place to point at
                if !matches!(value.value, Value::Scalar(_))
                    && let Some(place) = self.places.0.get_mut(&inner)
                {
                    place.at = key.at;
                }
            } else if known.contains(&key.text.as_str()) {
                let message =
                    "cannot stand beside the key before it; there is exactly one of them".to_owned();
                self.report(key.at, &inner, message, None);
            } else {
                self.report(key.at, &inner, "unknown key".to_owned(), suggestion(&key.text, &known));
            }
        }
        self.require(branch, &mut json, at, path);
        Some(Json::Object(json))
    }

    fn require(&mut self, branch: &'a Json, json: &mut Map<String, Json>, at: Position, path: &Path) {
        for key in required(branch) {
            if json.contains_key(key) {
                continue;
            }
            let inner = path.key(key);
            if !self.places.contains(&inner) {
                self.problems.push(problem(at, path, format!("the key `{key}` is missing"), None));
                self.broken.push(inner);
            }
            if let Some(value) =
                property(branch, key).and_then(|schema| self.stand_in(&branches(self.root, schema)))
            {
                json.insert(key.to_owned(), value);
            }
        }
    }

    /// What takes the place of a value that does not fit, so that the rest can be checked.
    fn stand_in(&self, branches: &[&'a Json]) -> Option<Json> {
        if branches.iter().any(|branch| allows(branch, "null")) {
            return Some(Json::Null);
        }
        let branch = branches.first()?;
        if allows(branch, "object") {
            let required = required(branch).map(|key| {
                let schema = property(branch, key)?;
                Some((key.to_owned(), self.stand_in(&self::branches(self.root, schema))?))
            });
            return required.collect::<Option<Map<_, _>>>().map(Json::Object);
        }
        if allows(branch, "array") {
            return Some(Json::Array(Vec::new()));
        }
        (allows(branch, "string") && !is_choice(branch)).then(|| Json::String(String::new()))
    }

    fn report(&mut self, at: Position, path: &Path, message: String, help: Option<String>) {
        self.broken.push(path.clone());
        self.problems.push(problem(at, path, message, help));
    }
}

fn problem(at: Position, path: &Path, message: String, help: Option<String>) -> Problem {
    Problem { position: Some(at), path: path.to_string(), message, help }
}

/// The alternatives that a schema gives, with references followed.
fn branches<'a>(root: &'a Json, schema: &'a Json) -> Vec<&'a Json> {
    if let Some(name) =
        schema.get("$ref").and_then(Json::as_str).and_then(|path| path.strip_prefix("#/$defs/"))
    {
        return root
            .get("$defs")
            .and_then(|defs| defs.get(name))
            .map_or_else(Vec::new, |def| branches(root, def));
    }
    match schema.get("anyOf").or_else(|| schema.get("oneOf")).and_then(Json::as_array) {
        Some(alternatives) => {
            alternatives.iter().flat_map(|alternative| branches(root, alternative)).collect()
        }
        None => vec![schema],
    }
}

fn allows(branch: &Json, kind: &str) -> bool {
    match branch.get("type") {
        Some(Json::String(only)) => only == kind,
        Some(Json::Array(several)) => several.iter().any(|one| one == kind),
        _ => false,
    }
}

fn is_choice(branch: &Json) -> bool {
    branch.get("const").is_some() || branch.get("enum").is_some()
}

/// The texts that a branch with a fixed choice allows.
fn words(branch: &Json) -> impl Iterator<Item = &str> {
    let several = branch.get("enum").and_then(Json::as_array).into_iter().flatten();
    several.chain(branch.get("const")).filter_map(Json::as_str)
}

fn property<'a>(branch: &'a Json, key: &str) -> Option<&'a Json> {
    branch.get("properties")?.get(key)
}

fn properties(branch: &Json) -> impl Iterator<Item = &str> {
    branch
        .get("properties")
        .and_then(Json::as_object)
        .into_iter()
        .flat_map(|known| known.keys().map(String::as_str))
}

fn required(branch: &Json) -> impl Iterator<Item = &str> {
    branch.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str)
}

/// The schema of values under keys that people choose.
fn any_key(branch: &Json) -> Option<&Json> {
    branch.get("additionalProperties").filter(|schema| schema.is_object())
}

fn integer(branch: &Json, text: &str) -> Option<u64> {
    let value = text.parse::<u64>().ok()?;
    let least = branch.get("minimum").and_then(Json::as_u64).unwrap_or(0);
    let most = if branch.get("format").is_some_and(|format| format == "uint32") {
        u64::from(u32::MAX)
    } else {
        u64::MAX
    };
    (least..=most).contains(&value).then_some(value)
}

/// What the schema asks for, in words.
fn expected(branches: &[&Json]) -> String {
    let mut kinds: Vec<String> = Vec::new();
    let choice: Vec<String> =
        branches.iter().flat_map(|branch| words(branch)).map(|word| format!("`{word}`")).collect();
    match choice.as_slice() {
        [] => {}
        [only] => kinds.push(only.clone()),
        several => kinds.push(format!("one of {}", several.join(", "))),
    }
    for (kind, words) in [
        ("string", "a text"),
        ("integer", "a whole number"),
        ("boolean", "true or false"),
        ("array", "a list"),
    ] {
        let mut fitting =
            branches.iter().filter(|branch| allows(branch, kind) && !is_choice(branch)).peekable();
        let Some(first) = fitting.peek() else { continue };
        let least =
            first.get("minimum").and_then(Json::as_u64).filter(|least| kind == "integer" && *least > 0);
        kinds.push(least.map_or_else(|| words.to_owned(), |least| format!("{words} of at least {least}")));
    }
    let objects: Vec<&&Json> = branches.iter().filter(|branch| allows(branch, "object")).collect();
    match objects.as_slice() {
        [] => {}
        [_] => kinds.push("a mapping".to_owned()),
        several => {
            let keys: Vec<String> =
                several.iter().flat_map(|object| properties(object)).map(|key| format!("`{key}`")).collect();
            kinds.push(format!("a mapping with one of {}", keys.join(", ")));
        }
    }
    kinds.join(" or ")
}
