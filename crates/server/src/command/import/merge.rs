//! Puts entries into a YAML file as lines of text, so that its comments, order
//! and spelling stay.

use serde_json::{Map, Value};
use thiserror::Error;

use super::yaml;

/// Why nothing was put in.
#[derive(Debug, Error)]
pub(super) enum MergeError {
    #[error("it is not YAML: {0}")]
    NotYaml(String),
    #[error("`{0}` stands on one line with its value; write it with one entry per line, and import again")]
    OneLine(String),
    #[error("`{0}` is there, but it is not a mapping")]
    NotAMapping(String),
    #[error("the entries could not be put in without changing something else; add them by hand")]
    Inexact,
}

/// The file as a value; a file without any is an empty mapping.
pub(super) fn parse(text: &str) -> Result<Value, MergeError> {
    let value: Value =
        serde_saphyr::from_str(text).map_err(|error| MergeError::NotYaml(error.to_string()))?;
    match value {
        Value::Null => Ok(Value::Object(Map::new())),
        Value::Object(_) => Ok(value),
        _ => Err(MergeError::NotAMapping("the file".to_owned())),
    }
}

/// `text` with `entries` under the mapping at `path`, which is made when it is
/// missing. None of the entries may be there yet.
///
/// # Errors
/// The text does not allow it, or the result would not be exactly the old
/// value with the entries in it.
pub(super) fn insert(text: &str, path: &[&str], entries: &Map<String, Value>) -> Result<String, MergeError> {
    if entries.is_empty() {
        return Ok(text.to_owned());
    }
    let mut expected = parse(text)?;
    add(&mut expected, path, entries)?;
    let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut document = Document { lines: text.lines().map(str::to_owned).collect() };
    document.insert(path, entries)?;
    let mut after = document.lines.join(line_end);
    after.push_str(line_end);
    if parse(&after).ok() != Some(expected) {
        return Err(MergeError::Inexact);
    }
    Ok(after)
}

fn add(tree: &mut Value, path: &[&str], entries: &Map<String, Value>) -> Result<(), MergeError> {
    let mut place = tree;
    for key in path {
        let Some(fields) = place.as_object_mut() else {
            return Err(MergeError::NotAMapping((*key).to_owned()));
        };
        place = fields.entry(*key).or_insert(Value::Null);
        if place.is_null() {
            *place = Value::Object(Map::new());
        }
    }
    let Some(fields) = place.as_object_mut() else {
        return Err(MergeError::NotAMapping(path.last().copied().unwrap_or_default().to_owned()));
    };
    fields.extend(entries.clone());
    Ok(())
}

struct Document {
    lines: Vec<String>,
}

/// The lines of one mapping.
struct Block {
    start: usize,
    end: usize,
    /// Blanks before each of its keys.
    indent: usize,
}

impl Document {
    fn insert(&mut self, path: &[&str], entries: &Map<String, Value>) -> Result<(), MergeError> {
        let mut block = Block { start: 0, end: self.lines.len(), indent: 0 };
        for (depth, key) in path.iter().enumerate() {
            let Some(line) = self.line_of(&block, key) else {
                let rest = path.get(depth..).unwrap_or_default();
                let nested = rest.iter().rev().fold(Value::Object(entries.clone()), |inner, key| {
                    Value::Object(Map::from_iter([((*key).to_owned(), inner)]))
                });
                let Value::Object(nested) = nested else { return Err(MergeError::Inexact) };
                self.put(&block, &nested);
                return Ok(());
            };
            self.open(line, key)?;
            block = self.block_under(line, block.end, block.indent);
        }
        self.put(&block, entries);
        Ok(())
    }

    fn line_of(&self, block: &Block, key: &str) -> Option<usize> {
        let has_key = |line: &str| {
            let rest = line.trim_start();
            let quoted = [format!("\"{key}\""), format!("'{key}'"), key.to_owned()];
            let behind = quoted.iter().find_map(|written| rest.strip_prefix(written.as_str()));
            behind
                .is_some_and(|behind| behind == ":" || behind.starts_with(": ") || behind.starts_with(":\t"))
        };
        (block.start..block.end).find(|index| {
            let line = &self.lines[*index];
            content_indent(line) == Some(block.indent) && has_key(line)
        })
    }

    /// Makes sure that the mapping at `line` has its entries on lines of their own.
    fn open(&mut self, line: usize, key: &str) -> Result<(), MergeError> {
        let text = &self.lines[line];
        let key_end = text
            .find(&format!("{key}:"))
            .map(|at| at + key.len() + 1)
            .or_else(|| text.find(':').map(|at| at + 1));
        let Some((before, behind)) = key_end.and_then(|end| text.split_at_checked(end)) else {
            return Err(MergeError::Inexact);
        };
        let value = behind.trim();
        if value.is_empty() || value.starts_with('#') {
            return Ok(());
        }
        let rest =
            value.strip_prefix('{').and_then(|rest| rest.trim_start().strip_prefix('}')).map(str::trim);
        match rest {
            Some("") => self.lines[line] = before.to_owned(),
            Some(comment) if comment.starts_with('#') => self.lines[line] = format!("{before} {comment}"),
            _ => return Err(MergeError::OneLine(key.to_owned())),
        }
        Ok(())
    }

    fn block_under(&self, line: usize, end: usize, indent: usize) -> Block {
        let start = line + 1;
        let is_outside =
            |index: &usize| content_indent(&self.lines[*index]).is_some_and(|found| found <= indent);
        let end = (start..end).find(is_outside).unwrap_or(end);
        let first = (start..end).find_map(|index| content_indent(&self.lines[index]));
        Block { start, end, indent: first.unwrap_or(indent + yaml::STEP) }
    }

    /// Puts the entries behind the last line that belongs to the block.
    fn put(&mut self, block: &Block, entries: &Map<String, Value>) {
        let belongs = |index: &usize| {
            let line = &self.lines[*index];
            let indent = line.len() - line.trim_start().len();
            !line.trim().is_empty() && (content_indent(line).is_some() || indent >= block.indent)
        };
        let at = (block.start..block.end).rev().find(belongs).map_or(block.start, |last| last + 1);
        let mut new: Vec<String> = yaml::entries(entries, block.indent).lines().map(str::to_owned).collect();
        if block.indent == 0 && at > 0 {
            new.insert(0, String::new());
        }
        self.lines.splice(at..at, new);
    }
}

/// Blanks before the content of a line; none for a blank line or a comment.
fn content_indent(line: &str) -> Option<usize> {
    let content = line.trim_start();
    (!content.is_empty() && !content.starts_with('#')).then(|| line.len() - content.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn inserted(text: &str, path: &[&str]) -> Result<String, MergeError> {
        insert(text, path, json!({ "new": { "url": "https://x.example" } }).as_object().unwrap())
    }

    #[test]
    fn entries_go_to_the_end_of_their_mapping() {
        let before = "# top\nlisten: 127.0.0.1:7400   # here\nservers:\n    # first\n    a: { command: x }\n    b:\n        command: y # why\n        # about b\n\n# profiles below\nprofiles:\n    p:\n        servers:\n            a: {}\n";
        let after = inserted(before, &["servers"]).unwrap();
        let expected =
            before.replace("# about b\n", "# about b\n    new:\n      url: \"https://x.example\"\n");
        assert_eq!(after, expected);
        let after = inserted(before, &["profiles", "p", "servers"]).unwrap();
        assert_eq!(after, format!("{before}            new:\n              url: \"https://x.example\"\n"));
    }

    #[test]
    fn missing_mappings_are_made() {
        let new = "new:\n    url: \"https://x.example\"\n";
        assert_eq!(inserted("", &["servers"]).unwrap(), format!("servers:\n  {new}"));
        assert_eq!(inserted("# mine\n", &["servers"]).unwrap(), format!("# mine\n\nservers:\n  {new}"));
        assert_eq!(inserted("listen: x", &["servers"]).unwrap(), format!("listen: x\n\nservers:\n  {new}"));
        assert_eq!(
            inserted("servers: {} # none\n", &["servers"]).unwrap(),
            format!("servers: # none\n  {new}")
        );
        assert_eq!(
            inserted("servers:\nlisten: x\n", &["servers"]).unwrap(),
            format!("servers:\n  {new}listen: x\n")
        );
        let after =
            inserted("profiles:\n  p:\n    auth: none\nlisten: x\n", &["profiles", "p", "servers"]).unwrap();
        assert_eq!(
            after,
            "profiles:\n  p:\n    auth: none\n    servers:\n      new:\n        url: \"https://x.example\"\nlisten: x\n"
        );
    }

    #[test]
    fn line_ends_and_block_texts_are_kept() {
        let after = inserted("servers:\r\n  a:\r\n    command: x\r\n", &["servers"]).unwrap();
        assert_eq!(after.matches("\r\n").count(), after.matches('\n').count());
        let block =
            "servers:\n  a:\n    command: x\n    description: |\n      one\n      # two\n\n      three\n";
        assert!(inserted(block, &["servers"]).unwrap().starts_with(block));
    }

    #[test]
    fn what_cannot_be_done_safely_is_refused() {
        for text in [
            "servers: { a: { command: x } }\n",
            "servers: [a]\n",
            "servers: x\n",
            "- a\n",
            "servers: [\n",
            "a: 1\n---\nb: 2\n",
            "servers: &all\n  a: { command: x }\n",
            "{ servers: {} }\n",
        ] {
            assert!(inserted(text, &["servers"]).is_err(), "{text}");
        }
    }
}
