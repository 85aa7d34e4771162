//! A server that is a program.

use std::collections::BTreeMap;

use trunkline_model::{Command, Secret};

use super::super::file::Server;
use super::super::path::Path;
use super::Resolver;

/// Variables that replace the code of a program without naming it: whoever may
/// set one of them may run anything.
const CODE_IN_DISGUISE: [&str; 15] = [
    "BASH_ENV",
    "ENV",
    "GCONV_PATH",
    "GLIBC_TUNABLES",
    "JAVA_TOOL_OPTIONS",
    "JDK_JAVA_OPTIONS",
    "NODE_OPTIONS",
    "NODE_PATH",
    "PERL5LIB",
    "PERL5OPT",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSTARTUP",
    "RUBYLIB",
    "RUBYOPT",
];

impl Resolver<'_> {
    pub(super) fn command(&mut self, program: &str, server: &Server, path: &Path) -> Option<Command> {
        let program = self.program(program, &path.key("command"))?;
        for (index, arg) in server.args.iter().enumerate() {
            if arg.contains('\0') {
                self.refuse(&path.key("args").index(index), "holds a zero byte", None);
            }
        }
        let cwd = server.cwd.as_ref().map(|cwd| self.directory.join(cwd));
        Some(Command { program, args: server.args.clone(), env: self.environment(server, path), cwd })
    }

    fn program(&mut self, program: &str, path: &Path) -> Option<String> {
        if program.trim().is_empty() || program.contains('\0') {
            self.refuse(path, "names no program", None);
            return None;
        }
        if !program.contains('/') && program.contains(char::is_whitespace) {
            let help = "no shell reads it: write the program in `command` and its arguments in `args`";
            self.refuse(path, "is a program with arguments", Some(help.to_owned()));
            return None;
        }
        if program.starts_with("./") || program.starts_with("../") {
            return Some(self.directory.join(program).display().to_string());
        }
        Some(program.to_owned())
    }

    fn environment(&mut self, server: &Server, path: &Path) -> BTreeMap<String, Secret> {
        let mut environment = BTreeMap::new();
        for (name, value) in &server.env {
            let path = path.key("env").key(name);
            if name.is_empty() || name.contains(['=', '\0']) {
                self.refuse(&path, "is not the name of an environment variable", None);
            } else if let Some((message, help)) = refusal(name) {
                self.refuse(&path, message, Some(help.to_owned()));
            } else if let Some(value) = self.secret(value, &path) {
                environment.insert(name.clone(), value);
            }
        }
        environment
    }
}

/// Why a child's environment may not hold `name`, and what to do instead.
fn refusal(name: &str) -> Option<(&'static str, &'static str)> {
    let upper = name.to_ascii_uppercase();
    if upper == "PATH" {
        return Some((
            "decides which program runs, so it is not taken from a server's `env`",
            "write the full path of the program in `command`",
        ));
    }
    let loader = upper.starts_with("LD_") || upper.starts_with("DYLD_");
    (loader || CODE_IN_DISGUISE.contains(&upper.as_str())).then_some((
        "can replace the code of the program, so it is not taken from a server's `env`",
        "install what the program needs, or name a wrapper script in `command`",
    ))
}
