//! What the documents say, held against the program: links lead somewhere, configurations
//! load, commands and their flags exist.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::process::{command, root, target};
use crate::{generate, verify};

/// What stands in for every variable of a configuration: good as a key too, 32 bytes in Base64.
const STAND_IN: &str = "c3RhbmRzIGluIGZvciBldmVyeSB2YXJpYWJsZSAuLi4=";

/// Checks every document that people wrote.
///
/// # Errors
/// Lists all that is wrong, each with its document.
pub(crate) fn check() -> Result<()> {
    verify::build()?;
    let commands = Commands::parse(&generate::command_line()?);
    let mut wrong = Vec::new();
    for path in documents()? {
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let name = path.strip_prefix(root()).unwrap_or(&path).display().to_string();
        let mut faults = dead_links(&path, &text);
        faults.extend(
            configurations(&text).filter_map(|yaml| refusal(yaml).transpose()).collect::<Result<Vec<_>>>()?,
        );
        faults.extend(invocations(&text).iter().filter_map(|line| commands.fault(line)));
        wrong.extend(faults.into_iter().map(|fault| format!("{name}: {fault}")));
    }
    if !wrong.is_empty() {
        bail!("the documents are wrong:\n  {}", wrong.join("\n  "));
    }
    Ok(())
}

/// The Markdown files of the root and of `docs/`.
fn documents() -> Result<Vec<PathBuf>> {
    let mut found = markdown_in(root())?;
    let mut ahead = vec![root().join("docs")];
    while let Some(here) = ahead.pop() {
        found.extend(markdown_in(&here)?);
        for entry in fs::read_dir(&here)?.flatten() {
            if entry.file_type()?.is_dir() {
                ahead.push(entry.path());
            }
        }
    }
    found.sort();
    Ok(found)
}

fn markdown_in(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    Ok(paths.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect())
}

/// The relative links of a document whose file or heading does not exist.
fn dead_links(document: &Path, text: &str) -> Vec<String> {
    let directory = document.parent().unwrap_or(root());
    let mut dead = Vec::new();
    for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
        if link.contains("://") || link.starts_with("mailto:") {
            continue;
        }
        let (file, heading) = link.split_once('#').unwrap_or((link, ""));
        let file = if file.is_empty() { document.to_owned() } else { directory.join(file) };
        let leads = match fs::read_to_string(&file) {
            Ok(there) => heading.is_empty() || anchors(&there).any(|anchor| anchor == heading),
            Err(_) => heading.is_empty() && file.is_dir(),
        };
        if !leads {
            dead.push(format!("the link {link} leads nowhere"));
        }
    }
    dead
}

/// The names by which the headings of a document can be linked.
fn anchors(text: &str) -> impl Iterator<Item = String> {
    text.lines()
        .filter_map(|line| line.trim_start_matches('#').strip_prefix(' ').filter(|_| line.starts_with('#')))
        .map(|title| {
            let kept = title.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            kept.collect::<String>().to_lowercase().replace(' ', "-")
        })
}

/// The bodies of the fenced blocks in `language`.
fn fences<'a>(text: &'a str, language: &'a str) -> impl Iterator<Item = &'a str> {
    text.split("\n```").filter_map(move |block| block.strip_prefix(language)?.strip_prefix('\n'))
}

fn configurations(text: &str) -> impl Iterator<Item = &str> {
    fences(text, "yaml")
}

/// What the program says against a configuration.
fn refusal(yaml: &str) -> Result<Option<String>> {
    let file = target().join("xtask-document.yaml");
    fs::write(&file, yaml).context("cannot write the configuration of a document")?;
    let mut check = command(generate::binary());
    check.arg("check").arg(&file).envs(variables(yaml).map(|name| (name, STAND_IN)));
    let verdict = check.output().context("cannot start trunkline")?;
    let said = [verdict.stdout, verdict.stderr].concat();
    Ok((!verdict.status.success()).then(|| String::from_utf8_lossy(&said).trim().to_owned()))
}

/// The names in `${...}`.
fn variables(yaml: &str) -> impl Iterator<Item = &str> {
    yaml.split("${").skip(1).filter_map(|rest| rest.split(['}', ':']).next())
}

/// What the documents tell people to run: lines of shell blocks, and words in backquotes.
fn invocations(text: &str) -> Vec<String> {
    let blocks: String = fences(text, "sh").collect::<Vec<_>>().join("\n").replace("\\\n", " ");
    let lines = blocks.lines().map(|line| line.split(" #").next().unwrap_or_default());
    let quoted = text.split('`').skip(1).step_by(2).filter(|words| !words.contains('\n'));
    lines
        .chain(quoted)
        .filter_map(|line| line.trim().strip_prefix("trunkline ").or(line.split("-- trunkline ").nth(1)))
        .map(str::to_owned)
        .collect()
}

/// The commands that exist, each with its help, by the words that call them.
struct Commands(BTreeMap<String, String>);

impl Commands {
    /// From the generated page.
    fn parse(page: &str) -> Self {
        let sections = page.split("# `trunkline ").skip(1);
        Self(
            sections
                .filter_map(|section| section.split_once('`'))
                .map(|(name, help)| (name.to_owned(), help.to_owned()))
                .collect(),
        )
    }

    /// What is wrong with an invocation.
    fn fault(&self, line: &str) -> Option<String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let first = *words.first()?;
        if !self.0.contains_key(first) && !first.starts_with('-') {
            return Some(format!("`trunkline {line}`: there is no command {first}"));
        }
        let two = words.get(1).map(|second| format!("{first} {second}"));
        let help = two.and_then(|two| self.0.get(&two)).or_else(|| self.0.get(first))?;
        let mut flags =
            words.iter().filter(|word| word.starts_with("--")).filter_map(|word| word.split('=').next());
        let unknown = flags.find(|flag| !mentions(help, flag))?;
        Some(format!("`trunkline {line}`: there is no flag {unknown}"))
    }
}

fn mentions(help: &str, flag: &str) -> bool {
    help.split(|c: char| c.is_whitespace() || ",=[]<>".contains(c)).any(|word| word == flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_link_leads_somewhere() {
        for path in documents().unwrap() {
            let text = fs::read_to_string(&path).unwrap();
            assert_eq!(dead_links(&path, &text), Vec::<String>::new(), "{}", path.display());
        }
    }

    #[test]
    fn a_dead_link_is_found() {
        let text = "# A b-c: d\n[x](Cargo.toml) [y](gone.md) [z](#a-b-c-d) [w](#e) [v](https://example.org/)";
        let document = root().join("invented.md");
        fs::read_to_string(&document).unwrap_err();
        assert_eq!(
            dead_links(&document, text).len(),
            3,
            "a heading of a document that is not there, and a file"
        );
        assert_eq!(anchors(text).collect::<Vec<_>>(), ["a-b-c-d"]);
    }

    #[test]
    fn blocks_are_found_by_their_language() {
        let text = "a\n```sh\none \\\n  two # why\n```\nb\n```yaml\nc: ${D:-1}\n```\n";
        assert_eq!(fences(text, "sh").collect::<Vec<_>>(), ["one \\\n  two # why"]);
        assert_eq!(configurations(text).flat_map(variables).collect::<Vec<_>>(), ["D"]);
    }

    #[test]
    fn commands_and_flags_that_do_not_exist_are_named() {
        let page = "## `trunkline key`\nCommands:\n### `trunkline key create`\n  --profile <NAME>\n## `trunkline serve`\n -c, --config <FILE>\n";
        let commands = Commands::parse(page);
        let text = "run `trunkline key create --profile a`, `trunkline keys`, or\n```sh\ntrunkline serve --confg \\\n  x # no\ntrunkline serve --config y\n```\n";
        let faults: Vec<String> = invocations(text).iter().filter_map(|line| commands.fault(line)).collect();
        assert_eq!(
            faults,
            [
                "`trunkline serve --confg    x`: there is no flag --confg",
                "`trunkline keys`: there is no command keys"
            ]
        );
    }
}
