//! Files that the program writes about itself. They are committed, and a check
//! fails when one is not what the program would write today.

use std::fs;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::process::{command, output, root, say, target};
use crate::verify;

/// One generated file.
struct Generated {
    path: &'static str,
    make: fn() -> Result<String>,
}

const FILES: &[Generated] = &[
    Generated { path: "docs/config.schema.json", make: config_schema },
    Generated { path: "docs/reference/cli.md", make: command_line },
];

/// Writes every generated file.
pub(crate) fn write() -> Result<()> {
    verify::build()?;
    for file in FILES {
        let text = (file.make)()?;
        let path = root().join(file.path);
        if fs::read_to_string(&path).is_ok_and(|found| found == text) {
            continue;
        }
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        fs::write(&path, text).with_context(|| format!("cannot write {}", file.path))?;
        say(&format!("wrote {}", file.path));
    }
    Ok(())
}

/// Compares every generated file with what the program would write now.
///
/// # Errors
/// Names each file that is stale.
pub(crate) fn check() -> Result<()> {
    verify::build()?;
    let mut stale = Vec::new();
    for file in FILES {
        let text = (file.make)()?;
        if !fs::read_to_string(root().join(file.path)).is_ok_and(|found| found == text) {
            stale.push(file.path);
        }
    }
    if !stale.is_empty() {
        bail!("stale, run `cargo xtask gen`: {}", stale.join(", "));
    }
    Ok(())
}

/// The binary that `verify::build` made.
pub(crate) fn binary() -> PathBuf {
    target().join("debug").join(format!("trunkline{}", std::env::consts::EXE_SUFFIX))
}

fn config_schema() -> Result<String> {
    output(command(binary()).arg("schema"))
}

/// One section for each command, from its own `--help`.
pub(crate) fn command_line() -> Result<String> {
    let mut page =
        "# The command line\n\nGenerated from `trunkline --help` by `cargo xtask gen`.\n".to_owned();
    describe(&[], &mut page)?;
    Ok(page)
}

fn describe(path: &[String], page: &mut String) -> Result<()> {
    let help = help(path)?;
    let title =
        std::iter::once("trunkline").chain(path.iter().map(String::as_str)).collect::<Vec<_>>().join(" ");
    let marks = "#".repeat((path.len() + 1).clamp(2, 4));
    page.push('\n');
    page.push_str(&section(&marks, &title, help.trim_end()));
    for name in subcommands(&help) {
        let mut deeper = path.to_vec();
        deeper.push(name.to_owned());
        describe(&deeper, page)?;
    }
    Ok(())
}

fn section(marks: &str, title: &str, help: &str) -> String {
    format!("{marks} `{title}`\n\n```text\n{help}\n```\n")
}

fn help(path: &[String]) -> Result<String> {
    // No terminal and a fixed width: the text must not depend on who generates it.
    let mut help = command(binary());
    help.args(path).arg("--help").env("COLUMNS", "100").env("NO_COLOR", "1").stderr(Stdio::piped());
    let text = output(&mut help)?;
    Ok(text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n"))
}

/// The commands that a help text lists, as clap prints them.
fn subcommands(help: &str) -> Vec<&str> {
    help.lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| line.starts_with("  "))
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commands_of_a_help_text_are_found() {
        let help = "A hub\n\nUsage: hub <COMMAND>\n\nCommands:\n  serve  Runs it\n           for long\n  key    Keys\n  help   Print\n\nOptions:\n  -h";
        assert_eq!(subcommands(help), ["serve", "key"]);
        assert!(subcommands("Usage: hub serve\n\nOptions:\n  -h").is_empty());
    }
}
