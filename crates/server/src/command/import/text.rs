//! Texts with variables in them: read as a client writes them, written as the
//! hub's configuration has them.

/// How a client writes variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notation {
    /// `${NAME}`, `${NAME:-default}`, `${env:NAME}`, `${input:id}`, `${workspaceFolder}`:
    /// Claude Code, Cursor and VS Code each know some of them.
    Braces,
    /// Those, and `$NAME` (Gemini CLI).
    DollarToo,
    /// `{env:NAME}` (opencode).
    Opencode,
    /// `{name}`, to be chosen by whoever installs (a registry's `server.json`).
    Template,
    /// None: every character is meant as it stands.
    Verbatim,
}

/// A text in pieces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Text(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Variable(Variable),
}

/// A place where a value from the environment goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Variable {
    /// The name of an environment variable of the hub.
    pub(super) name: String,
    pub(super) default: Option<String>,
    /// How the client's configuration wrote it.
    pub(super) was: String,
}

impl Text {
    pub(super) fn literal(text: impl Into<String>) -> Self {
        let text = text.into();
        Self(if text.is_empty() { Vec::new() } else { vec![Piece::Literal(text)] })
    }

    /// A variable alone.
    pub(super) fn variable(name: &str, was: &str) -> Self {
        Self(vec![Piece::Variable(Variable { name: name.to_owned(), default: None, was: was.to_owned() })])
    }

    pub(super) fn read(source: &str, notation: Notation) -> Self {
        let mut text = Self::default();
        let mut rest = source;
        while !rest.is_empty() {
            if let Some((piece, length)) = piece_at(rest, notation) {
                text.push(piece);
                rest = &rest[length..];
            } else {
                let length = rest.chars().next().map_or(1, char::len_utf8);
                text.push(Piece::Literal(rest[..length].to_owned()));
                rest = &rest[length..];
            }
        }
        text
    }

    fn push(&mut self, piece: Piece) {
        match (self.0.last_mut(), piece) {
            (Some(Piece::Literal(before)), Piece::Literal(more)) => before.push_str(&more),
            (_, piece) => self.0.push(piece),
        }
    }

    /// This text with `more` behind it.
    #[must_use]
    pub(super) fn then(mut self, more: Self) -> Self {
        for piece in more.0 {
            self.push(piece);
        }
        self
    }

    /// The whole text, when there is no variable in it.
    pub(super) fn as_literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// Only the characters that are really there.
    pub(super) fn literals(&self) -> String {
        let literal = |piece: &Piece| match piece {
            Piece::Literal(text) => Some(text.clone()),
            Piece::Variable(_) => None,
        };
        self.0.iter().filter_map(literal).collect()
    }

    pub(super) fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Variable(variable) => Some(variable),
            Piece::Literal(_) => None,
        })
    }

    /// As the hub's configuration writes it: `${NAME}`, and `$${` for the characters themselves.
    pub(super) fn in_configuration(&self) -> String {
        let mut written = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Literal(text) => written.push_str(&text.replace("${", "$${")),
                Piece::Variable(Variable { name, default, .. }) => {
                    written.extend(["${", name]);
                    if let Some(default) = default {
                        written.extend([":-", default]);
                    }
                    written.push('}');
                }
            }
        }
        written
    }

    /// The same where the configuration takes a secret, in which `file:` has a meaning.
    pub(super) fn in_secret_place(&self) -> String {
        let written = self.in_configuration();
        if written.starts_with("file:") || written.starts_with("literal:") {
            return format!("literal:{written}");
        }
        written
    }
}

/// The variable or escape that `rest` starts with, and its length in bytes.
fn piece_at(rest: &str, notation: Notation) -> Option<(Piece, usize)> {
    let between = |open: &str| {
        let body = rest.strip_prefix(open)?;
        let end = body.find(['}', '{', '\n'])?;
        body[end..].starts_with('}').then(|| (&body[..end], open.len() + end + 1))
    };
    match notation {
        Notation::Verbatim => None,
        Notation::Opencode => {
            let (name, length) = between("{env:")?;
            Some((variable(name, None, &rest[..length]), length))
        }
        Notation::Template => {
            let (name, length) = between("{")?;
            is_word(name).then(|| (variable(name, None, &rest[..length]), length))
        }
        Notation::Braces | Notation::DollarToo => {
            if let Some((body, length)) = between("${") {
                return Some((braced(body, &rest[..length]), length));
            }
            let body = rest.strip_prefix('$').filter(|_| notation == Notation::DollarToo)?;
            let end = body.find(|character: char| !is_word_character(character)).unwrap_or(body.len());
            let starts_well = body.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
            starts_well.then(|| (variable(&body[..end], None, &rest[..=end]), end + 1))
        }
    }
}

/// What stands between `${` and `}`.
fn braced(body: &str, was: &str) -> Piece {
    if let Some((name, default)) = body.split_once(":-") {
        return variable(name, Some(default), was);
    }
    match body {
        "/" | "pathSeparator" => Piece::Literal("/".to_owned()),
        "userHome" => variable("HOME", None, was),
        _ => match body.split_once(':') {
            Some(("env" | "input", name)) => variable(name, None, was),
            Some((kind, name)) => variable(&format!("{kind}_{name}"), None, was),
            None => variable(body, None, was),
        },
    }
}

fn variable(name: &str, default: Option<&str>, was: &str) -> Piece {
    let default = default.map(str::to_owned);
    Piece::Variable(Variable { name: environment_name(name), default, was: was.to_owned() })
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|character| is_word_character(character) || character == '-')
}

fn is_word_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// `name` as the name of an environment variable; one that can be one stays as it is.
pub(super) fn environment_name(name: &str) -> String {
    let starts_well = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
    let conventional =
        |character: char| character.is_ascii_uppercase() || character.is_ascii_digit() || character == '_';
    if starts_well && name.chars().all(conventional) {
        return name.to_owned();
    }
    let mut made = String::new();
    let mut after_lower = false;
    for character in name.chars() {
        if character.is_ascii_uppercase() && after_lower {
            made.push('_');
        }
        after_lower = character.is_ascii_lowercase() || character.is_ascii_digit();
        made.push(if character.is_ascii_alphanumeric() { character.to_ascii_uppercase() } else { '_' });
    }
    if starts_well { made } else { format!("VALUE_{made}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translated(source: &str, notation: Notation) -> String {
        Text::read(source, notation).in_configuration()
    }

    #[test]
    fn each_notation_becomes_ours() {
        for (source, ours) in [
            ("plain $5 {x}", "plain $5 {x}"),
            ("${API_KEY}", "${API_KEY}"),
            ("${HOST:-localhost}/x", "${HOST:-localhost}/x"),
            ("${env:API_KEY}", "${API_KEY}"),
            ("Bearer ${input:github-token}", "Bearer ${GITHUB_TOKEN}"),
            ("${workspaceFolder}${/}src", "${WORKSPACE_FOLDER}/src"),
            ("${userHome}/notes", "${HOME}/notes"),
            ("${config:my.key}", "${CONFIG_MY_KEY}"),
            ("${open", "$${open"),
            ("grün ${A}", "grün ${A}"),
        ] {
            assert_eq!(translated(source, Notation::Braces), ours, "{source}");
        }
        assert_eq!(translated("$KEY-${B} $ $1", Notation::DollarToo), "${KEY}-${B} $ $1");
        assert_eq!(translated("{env:KEY} ${B}", Notation::Opencode), "${KEY} $${B}");
        assert_eq!(
            translated("https://{tenant}.example/{ x }", Notation::Template),
            "https://${TENANT}.example/{ x }"
        );
        assert_eq!(translated("${B} {c} $D", Notation::Verbatim), "$${B} {c} $D");
    }

    #[test]
    fn a_text_that_would_be_taken_for_a_file_is_marked() {
        assert_eq!(Text::literal("file:///srv/db").in_secret_place(), "literal:file:///srv/db");
        assert_eq!(Text::literal("literal:x").in_secret_place(), "literal:literal:x");
        assert_eq!(Text::literal("x").in_secret_place(), "x");
    }

    #[test]
    fn a_name_becomes_one_for_the_environment() {
        for (name, environment) in [
            ("A_B1", "A_B1"),
            ("perplexity-key", "PERPLEXITY_KEY"),
            ("apiKey", "API_KEY"),
            ("1st", "VALUE_1ST"),
            ("é", "VALUE__"),
        ] {
            assert_eq!(environment_name(name), environment);
        }
    }

    #[test]
    fn literal_and_variable_parts_are_told_apart() {
        let text = Text::read("Bearer ${T}", Notation::Braces);
        assert_eq!(text.as_literal(), None);
        assert_eq!(text.literals(), "Bearer ");
        assert_eq!(text.variables().map(|variable| variable.was.as_str()).collect::<Vec<_>>(), ["${T}"]);
        assert_eq!(Text::read("", Notation::Braces).as_literal(), Some(""));
    }
}
