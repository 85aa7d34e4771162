//! The only place that prints: words for people or JSON for scripts on
//! standard output, remarks and errors on standard error.

use std::fmt;
use std::io;

use serde::Serialize;

/// Where a command's results go.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    json: bool,
}

/// How a command that ran to its end turned out; `main` makes the exit code of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Exit code 0.
    Done,
    /// Exit code 1: the question was answered, and the answer is no (a check
    /// found faults, a server did not answer).
    Negative,
}

impl Output {
    pub const fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether `--json` was given.
    pub const fn is_json(self) -> bool {
        self.json
    }

    /// The result of a command: `human` for a person or `machine` under `--json`.
    pub fn result(self, human: impl fmt::Display, machine: &impl Serialize) {
        if self.json {
            match serde_json::to_string_pretty(machine) {
                Ok(text) => self.raw(text),
                Err(error) => self.error(error),
            }
        } else {
            self.raw(human);
        }
    }

    /// A text as it is, in both modes, with a line break at its end.
    pub fn raw(self, text: impl fmt::Display) {
        write_line(&mut io::stdout().lock(), text);
    }

    /// One JSON value on one line, in both modes.
    pub fn json_line(self, value: &impl Serialize) {
        match serde_json::to_string(value) {
            Ok(text) => self.raw(text),
            Err(error) => self.error(error),
        }
    }

    /// A remark for a person, on standard error; nothing under `--json`.
    pub fn note(self, text: impl fmt::Display) {
        if !self.json {
            write_line(&mut io::stderr().lock(), text);
        }
    }

    /// An error, on standard error: `error: …`, or `{"error": …}` under `--json`.
    pub fn error(self, text: impl fmt::Display) {
        let mut stderr = io::stderr().lock();
        if self.json {
            write_line(&mut stderr, serde_json::json!({ "error": text.to_string() }));
        } else {
            write_line(&mut stderr, format_args!("error: {text}"));
        }
    }
}

/// Nobody is left to tell when the reader of our output has gone away.
fn write_line(stream: &mut impl io::Write, text: impl fmt::Display) {
    let written = writeln!(stream, "{text}").and_then(|()| stream.flush());
    drop(written);
}

/// `1 server`, `2 servers`.
pub(crate) fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// What somebody else chose, for a table: nothing of it steers a terminal.
pub(crate) fn printable(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(60).collect()
}

/// Columns of text, each as wide as its widest cell.
#[derive(Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn with_header(cells: &[&str]) -> Self {
        Self { rows: vec![cells.iter().map(|cell| (*cell).to_owned()).collect()] }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }
}

impl fmt::Display for Table {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            self.rows
                .iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for (index, row) in self.rows.iter().enumerate() {
            if index > 0 {
                writeln!(formatter)?;
            }
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            write!(formatter, "{}", cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_aligns_its_columns() {
        let mut table = Table::with_header(&["NAME", "KIND"]);
        table.row(["time".to_owned(), "stdio".to_owned()]);
        table.row(["a-longer-name".to_owned(), "http".to_owned()]);
        assert_eq!(table.to_string(), "NAME           KIND\ntime           stdio\na-longer-name  http");
    }
}
