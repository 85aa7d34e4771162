//! Licences, banned crates, sources and known vulnerabilities: `deny.toml`.

use anyhow::Result;

use crate::process::{command, output, run, say};
use crate::tools::DENY;

/// Not only the default member and its default features.
const WHOLE_TREE: &[&str] = &["--workspace", "--all-features"];

/// Runs cargo-deny over the whole tree.
///
/// The advisories need a database that is fetched from GitHub. Where it cannot be had,
/// everything else is still checked and the gap is said aloud.
pub(crate) fn check() -> Result<()> {
    let deny = DENY.path()?;
    run(command(&deny).args(WHOLE_TREE).args([
        "check",
        "--hide-inclusion-graph",
        "bans",
        "licenses",
        "sources",
    ]))?;
    match output(command(&deny).args(["fetch", "db"])) {
        Ok(_) => run(command(&deny).args(WHOLE_TREE).args(["check", "--disable-fetch", "advisories"])),
        Err(error) => {
            say("####  ADVISORIES WERE NOT CHECKED: the RustSec database could not be fetched.");
            say("####  Run `cargo xtask check deny` where GitHub can be reached before a release.");
            say(&format!("####  {}", error.to_string().lines().next().unwrap_or_default()));
            Ok(())
        }
    }
}
