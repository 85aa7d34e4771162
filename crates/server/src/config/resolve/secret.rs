//! Secrets: written in place, taken from the environment, or read from a file.

use std::io::Read as _;
use std::path::{Path as FilePath, PathBuf};

use base64::Engine as _;
use trunkline_model::Secret;
use url::Url;

use super::super::file::{Database, SecretText};
use super::super::path::Path;
use super::Resolver;

/// The largest secret that is read from a file, in bytes.
const LARGEST_SECRET: u64 = 64 * 1024;

impl Resolver<'_> {
    /// The secret at `path`; `file:` is followed.
    pub(super) fn secret(&mut self, secret: &SecretText, path: &Path) -> Option<Secret> {
        let text = secret.0.as_str();
        if let Some(literal) = text.strip_prefix("literal:") {
            return Some(Secret::new(literal));
        }
        let Some(file) = self.secret_file(secret) else {
            return Some(Secret::new(text));
        };
        match read(&file) {
            Ok(secret) => Some(secret),
            Err(fault) => {
                // the path in the file, never one that came out of the environment
                let written = self.places.written(path).to_owned();
                self.refuse(path, format!("{written:?} cannot be read: {fault}"), None);
                None
            }
        }
    }

    /// The file that a secret is in; none where it is written in place.
    pub(super) fn secret_file(&self, secret: &SecretText) -> Option<PathBuf> {
        let file = secret.0.strip_prefix("file:")?;
        Some(self.directory.join(file.strip_prefix("//").unwrap_or(file)))
    }

    pub(super) fn database(&mut self, database: Option<&Database>, path: &Path) -> Option<Secret> {
        let secret = self.secret(&database?.url, path)?;
        let is_postgres = Url::parse(secret.expose())
            .is_ok_and(|url| matches!(url.scheme(), "postgres" | "postgresql") && url.has_host());
        if !is_postgres {
            let help = "write `postgres://user:password@host/name`; without `database` the hub keeps its state in \
                        SQLite in the data directory";
            self.refuse(path, "is not the URL of a PostgreSQL database", Some(help.to_owned()));
            return None;
        }
        Some(secret)
    }

    pub(super) fn secret_key(&mut self, key: Option<&SecretText>, path: &Path) -> Option<Secret> {
        let secret = self.secret(key?, path)?;
        let decoded = base64::engine::general_purpose::STANDARD.decode(secret.expose());
        if !decoded.is_ok_and(|bytes| bytes.len() == 32) {
            let help = "make one with `openssl rand -base64 32`".to_owned();
            self.refuse(path, "is not 32 bytes in Base64", Some(help));
            return None;
        }
        Some(secret)
    }
}

/// The text of a file without the line break at its end.
fn read(file: &FilePath) -> Result<Secret, String> {
    let opened = std::fs::File::open(file).map_err(|error| error.to_string())?;
    if !opened.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err("it is not a file".to_owned());
    }
    let mut text = String::new();
    opened.take(LARGEST_SECRET + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if text.len() as u64 > LARGEST_SECRET {
        return Err(format!("it is larger than {LARGEST_SECRET} bytes"));
    }
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err("it is empty".to_owned());
    }
    Ok(Secret::new(secret))
}
