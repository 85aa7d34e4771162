//! The way from the root of a file to one of its values.

use std::fmt;

/// The keys and indexes that lead to a value, outermost first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Path(Vec<Step>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Step {
    Key(String),
    Index(usize),
}

impl Path {
    pub(super) fn root() -> Self {
        Self::default()
    }

    #[must_use]
    pub(super) fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    #[must_use]
    pub(super) fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// The value that this one stands in; the root stands in itself.
    pub(super) fn parent(&self) -> Self {
        let (_, rest) = self.0.split_last().map_or((None, &[][..]), |(last, rest)| (Some(last), rest));
        Self(rest.to_vec())
    }

    pub(super) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `self` is `outer` or stands in it.
    pub(super) fn is_within(&self, outer: &Self) -> bool {
        self.0.starts_with(&outer.0)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if is_bare(key) => {
                    let dot = if index > 0 { "." } else { "" };
                    write!(formatter, "{dot}{key}")?;
                }
                Step::Key(key) => write!(formatter, "[{key:?}]")?,
                Step::Index(position) => write!(formatter, "[{position}]")?,
            }
        }
        Ok(())
    }
}

fn is_bare(key: &str) -> bool {
    !key.is_empty()
        && key.chars().all(|character| character.is_ascii_alphanumeric() || "-_".contains(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_reads_as_it_would_be_written() {
        let path = Path::root().key("servers").key("time").key("args").index(2);
        assert_eq!(path.to_string(), "servers.time.args[2]");
        assert_eq!(Path::root().key("rename").key("a.b").to_string(), "rename[\"a.b\"]");
        assert!(
            path.is_within(&Path::root().key("servers")) && !path.is_within(&Path::root().key("profiles"))
        );
        assert_eq!(path.parent().parent().to_string(), "servers.time");
    }
}
