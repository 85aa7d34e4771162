//! Puts the plan on disk: secrets first, so that the configuration never names
//! one that is not there.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;
use trunkline_model::Clock;

use super::plan::{Keeper, Plan, SECRETS_FOLDER};
use crate::{config, env, replace_file};

/// The file of variables, beside the configuration.
pub(super) const VARIABLES_FILE: &str = "trunkline.env";

/// What was written.
#[derive(Debug, Serialize)]
pub(super) struct Written {
    /// The old configuration; none when there was none.
    pub(super) backup: Option<PathBuf>,
    /// The file of variables, when a secret is in it now.
    pub(super) variables_file: Option<PathBuf>,
    /// What the hub still refuses about the configuration.
    pub(super) problems: Vec<String>,
}

pub(super) fn write(
    path: &Path,
    before: Option<&str>,
    after: &str,
    plan: &Plan,
    clock: &dyn Clock,
) -> anyhow::Result<Written> {
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let mut made = Vec::new();
    let written = secrets(folder, plan, &mut made).context("the secrets cannot be written").and_then(|()| {
        replace_file::replace(path, before, after, clock.now())
            .with_context(|| format!("{} is left as it is", path.display()))
    });
    let backup = match written {
        Ok(backup) => backup,
        Err(error) => {
            for file in made {
                let _ = fs::remove_file(file);
            }
            return Err(error);
        }
    };
    let variables_file =
        variables(folder, plan).context("the configuration is written, but not its variables")?;
    let problems = match config::load_with(path, &|name| variable(name, plan)) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.lines().collect(),
    };
    Ok(Written { backup, variables_file, problems })
}

/// The variable as it will be once the file of variables is loaded.
fn variable(name: &str, plan: &Plan) -> Option<String> {
    let kept = plan.secrets.iter().find(|secret| secret.keeper == Keeper::Variable(name.to_owned()));
    kept.map(|secret| secret.value.expose().to_owned()).or_else(|| env::lookup(name))
}

fn secrets(folder: &Path, plan: &Plan, made: &mut Vec<PathBuf>) -> io::Result<()> {
    for secret in &plan.secrets {
        let Keeper::File(path) = &secret.keeper else { continue };
        make_private_folder(&folder.join(SECRETS_FOLDER))?;
        let path = folder.join(path);
        match replace_file::private_file(&path) {
            Ok(mut file) => {
                made.push(path);
                file.write_all(secret.value.expose().as_bytes())?;
                file.write_all(b"\n")?;
                file.sync_all()?;
            }
            // The plan has seen that it holds the same.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn make_private_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Appends what has no file of its own to the file of variables, for a POSIX shell.
fn variables(folder: &Path, plan: &Plan) -> io::Result<Option<PathBuf>> {
    let path = folder.join(VARIABLES_FILE);
    let mut lines = replace_file::read(&path)?.unwrap_or_default();
    let length_before = lines.len();
    for secret in &plan.secrets {
        let Keeper::Variable(name) = &secret.keeper else { continue };
        let line = format!("{name}='{}'\n", secret.value.expose().replace('\'', "'\\''"));
        if !lines.lines().any(|known| known == line.trim_end()) {
            if !lines.is_empty() && !lines.ends_with('\n') {
                lines.push('\n');
            }
            lines.push_str(&line);
        }
    }
    if lines.len() == length_before {
        return Ok(None);
    }
    let mut file = match replace_file::private_file(&path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            fs::OpenOptions::new().append(true).open(&path)?
        }
        made => made?,
    };
    file.write_all(lines.get(length_before..).unwrap_or_default().as_bytes())?;
    file.sync_all()?;
    Ok(Some(path))
}
