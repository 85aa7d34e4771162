//! Every environment variable that the hub itself reads. Variables named in a
//! configuration file by `${NAME}` come on top of these.

use std::ffi::OsString;

/// One variable: its name and what it does.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    pub name: &'static str,
    pub meaning: &'static str,
}

/// Which log lines are written: `error`, `warn`, `info`, `debug`, `trace`, or
/// filters such as `trunkline_mcp_hub=debug,info`.
pub const LOG: Variable = Variable {
    name: "TRUNKLINE_LOG",
    meaning: "which log lines are written, such as `info` or `trunkline_mcp_hub=debug,info` (default `info`)",
};

/// How log lines are written: `human` or `json`.
pub const LOG_FORMAT: Variable = Variable {
    name: "TRUNKLINE_LOG_FORMAT",
    meaning: "how log lines are written: `human` (default) or `json`",
};

/// Where programs are looked for.
pub const PATH: Variable = Variable { name: "PATH", meaning: "where `doctor` and `demo` look for programs" };

/// What children of the hub inherit of its environment.
pub const FOR_CHILDREN: [Variable; 8] = [
    PATH,
    Variable { name: "HOME", meaning: "where a server's package manager keeps its cache" },
    Variable { name: "USER", meaning: "who runs the hub" },
    Variable { name: "LANG", meaning: "the language of a server's messages" },
    Variable { name: "LC_ALL", meaning: "the language of a server's messages" },
    Variable { name: "TZ", meaning: "the time zone of a server" },
    Variable { name: "TMPDIR", meaning: "where a server may put temporary files" },
    Variable { name: "SSL_CERT_FILE", meaning: "the certificates that a server trusts" },
];

/// All of them, for the reference.
pub const ALL: [Variable; 3] = [LOG, LOG_FORMAT, PATH];

impl Variable {
    /// The value, when the variable is set and is Unicode.
    pub fn get(self) -> Option<String> {
        lookup(self.name)
    }

    /// The value as the system gives it.
    pub fn get_os(self) -> Option<OsString> {
        std::env::var_os(self.name)
    }
}

/// The value of the variable that a configuration file names.
pub fn lookup(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
