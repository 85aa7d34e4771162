//! What is wrong with a configuration file, and where.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

/// A line and a column of the file, both counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Position {
    pub line: u64,
    pub column: u64,
}

/// One fault. Its words never hold a value of a secret, nor any value that
/// came out of the environment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    #[serde(flatten)]
    pub position: Option<Position>,
    /// The key it is about, such as `servers.time.command`; empty for the file as a whole.
    pub path: String,
    pub message: String,
    /// What to write instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

impl Problem {
    /// A fault of the file as a whole.
    pub(super) fn of_file(message: impl Into<String>) -> Self {
        Self { position: None, path: String::new(), message: message.into(), help: None }
    }
}

/// Every fault that was found in one file, in the order of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors {
    file: PathBuf,
    problems: Vec<Problem>,
}

impl ConfigErrors {
    pub(super) fn new(file: &Path, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.position);
        problems.dedup();
        Self { file: file.to_owned(), problems }
    }

    pub fn file(&self) -> &Path {
        &self.file
    }

    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl std::error::Error for ConfigErrors {}

impl ConfigErrors {
    /// One fault each, `file:line:column: key: message`, so that editors find the place.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.problems.iter().map(|problem| format!("{}{problem}", self.file.display()))
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.lines().collect();
        formatter.write_str(&lines.join("\n"))
    }
}

impl fmt::Display for Problem {
    /// What follows the name of the file.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Position { line, column }) = self.position {
            write!(formatter, ":{line}:{column}")?;
        }
        if !self.path.is_empty() {
            write!(formatter, ": {}", self.path)?;
        }
        write!(formatter, ": {}", self.message)?;
        match &self.help {
            Some(help) => write!(formatter, "; {help}"),
            None => Ok(()),
        }
    }
}

/// Of `candidates`, the one that `written` was probably meant to be.
pub(crate) fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| {
            (strsim::jaro_winkler(&written.to_lowercase(), &candidate.to_lowercase()), candidate)
        })
        .filter(|(likeness, _)| *likeness > 0.75)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, candidate)| candidate)
}

/// "did you mean `x`?", or else the whole choice when it is short enough to read.
pub(crate) fn suggestion(written: &str, candidates: &[&str]) -> Option<String> {
    if let Some(candidate) = nearest(written, candidates.iter().copied()) {
        return Some(format!("did you mean `{candidate}`?"));
    }
    let choice: Vec<String> = candidates.iter().map(|candidate| format!("`{candidate}`")).collect();
    (1..=30).contains(&choice.len()).then(|| format!("known here: {}", choice.join(", ")))
}
