//! Where the pinned npm and PyPI packages are, as `cargo xtask packages`
//! installed them.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use tokio::process::Command;

/// When this is `1`, a missing package fails the test instead of skipping it.
const REQUIRE_ALL: &str = "TRUNKLINE_REQUIRE_ALL";

/// The installed packages.
#[derive(Debug, Clone)]
pub struct Packages {
    node_modules: PathBuf,
    python: PathBuf,
}

impl Packages {
    /// The packages, or none after saying on standard error that `test` is
    /// skipped.
    ///
    /// # Errors
    /// A package is missing and the environment requires all of them.
    pub fn or_skip(test: &str) -> Result<Option<Self>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(".packages");
        let packages = Self { node_modules: folder.join("node/node_modules"), python: folder.join("python") };
        let Some(missing) = packages.first_missing() else { return Ok(Some(packages)) };
        if std::env::var_os(REQUIRE_ALL).is_some_and(|value| value == "1") {
            bail!("{test} needs {}: run `cargo xtask packages`", missing.display());
        }
        // Straight to the stream: the test runner would swallow what `eprintln!` writes.
        writeln!(
            std::io::stderr(),
            "SKIPPED {test}: {} is missing; run `cargo xtask packages`",
            missing.display()
        )?;
        Ok(None)
    }

    fn first_missing(&self) -> Option<PathBuf> {
        let programs = [
            "node",
            "claude",
            "codex",
            "mcp-inspector",
            "mcpdo",
            "mcp-remote-client",
            "mcp-server-everything",
            "conformance",
        ];
        let wanted = programs.iter().map(|name| self.npm_bin(name)).chain([
            self.python(),
            self.python_bin("mcp-server-time"),
            self.python_bin("mcp-server-git"),
        ]);
        wanted.into_iter().find(|path| !path.exists())
    }

    /// Node 22: the pinned clients refuse older ones.
    pub fn node(&self) -> PathBuf {
        self.npm_bin("node")
    }

    /// A program that an npm package installs.
    pub fn npm_bin(&self, name: &str) -> PathBuf {
        self.node_modules.join(".bin").join(name)
    }

    /// A file inside an npm package, such as `@scope/name/dist/index.js`.
    pub fn npm_file(&self, path: &str) -> PathBuf {
        self.node_modules.join(path)
    }

    /// The folder that Node finds packages in.
    pub fn node_modules(&self) -> &Path {
        &self.node_modules
    }

    /// The interpreter of the virtual environment.
    pub fn python(&self) -> PathBuf {
        self.python_bin("python")
    }

    /// A program that a PyPI package installs.
    pub fn python_bin(&self, name: &str) -> PathBuf {
        self.python.join("bin").join(name)
    }

    /// `PATH` with the pinned Node in front.
    pub fn search_path(&self) -> OsString {
        let system = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.node_modules.join(".bin")).chain(std::env::split_paths(&system));
        std::env::join_paths(folders).unwrap_or(system)
    }

    /// A command for `program` that finds the pinned Node first and keeps its
    /// settings in `home` alone.
    pub fn command(&self, program: &Path, home: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear();
        command.env("PATH", self.search_path()).env("HOME", home).env("LANG", "C.UTF-8").env("NO_COLOR", "1");
        command.current_dir(home);
        command
    }

    /// The command line of one of the upstream servers on standard input and
    /// output.
    pub fn stdio_server(&self, server: StdioServer, arguments: &[&str]) -> Vec<String> {
        let mut line: Vec<PathBuf> = match server {
            StdioServer::Everything => vec![self.node(), self.npm_file(StdioServer::EVERYTHING)],
            StdioServer::Filesystem => {
                vec![self.node(), self.npm_file("@modelcontextprotocol/server-filesystem/dist/index.js")]
            }
            StdioServer::Memory => {
                vec![self.node(), self.npm_file("@modelcontextprotocol/server-memory/dist/index.js")]
            }
            StdioServer::Time => vec![self.python_bin("mcp-server-time")],
            StdioServer::Git => vec![self.python_bin("mcp-server-git")],
        };
        line.extend(arguments.iter().map(PathBuf::from));
        line.into_iter().map(|part| part.to_string_lossy().into_owned()).collect()
    }
}

/// The reference servers that speak MCP on standard input and output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StdioServer {
    /// npm `@modelcontextprotocol/server-everything`; legacy.
    Everything,
    /// npm `@modelcontextprotocol/server-filesystem`; legacy; takes the folders it may see.
    Filesystem,
    /// npm `@modelcontextprotocol/server-memory`; legacy; `MEMORY_FILE_PATH` says where it keeps its graph.
    Memory,
    /// PyPI `mcp-server-time`; both eras, locked to the first it sees.
    Time,
    /// PyPI `mcp-server-git`; both eras, locked to the first it sees.
    Git,
}

impl StdioServer {
    /// The entry file of the everything server inside `node_modules`.
    pub const EVERYTHING: &'static str = "@modelcontextprotocol/server-everything/dist/index.js";
}
