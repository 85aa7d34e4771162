//! Whole imports, from a client's file to what the hub reads.

use std::fs;
use std::time::Duration;

use clap::Parser;
use trunkline_model::{ManualClock, Timestamp};

use super::*;
use crate::config;

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    args: ImportArgs,
}

struct Desk {
    folder: tempfile::TempDir,
    clock: ManualClock,
}

impl Desk {
    fn new() -> Self {
        let start = Timestamp::from_micros(1_795_356_095_000_000);
        Self { folder: tempfile::tempdir().unwrap(), clock: ManualClock::starting_at(start) }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, text: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
        fs::write(self.path(name), text).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Imports files of the folder; `words` are file names and flags.
    fn import(&self, words: &str) -> anyhow::Result<Report> {
        self.clock.advance(Duration::from_secs(1));
        let words = words.split_whitespace().map(|word| {
            let is_file = word.contains('.');
            if is_file { self.path(word).display().to_string() } else { word.to_owned() }
        });
        let config = self.path("trunkline.yaml").display().to_string();
        let words = ["import".to_owned(), "--config".to_owned(), config].into_iter().chain(words);
        import(&CommandLine::try_parse_from(words).unwrap().args, &self.clock)
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

const CLAUDE_DESKTOP: &str = r#"{
  "mcpServers": {
    "github": {
      "command": "npx",
      "args": ["-y", "@modelcontextprotocol/server-github"],
      "env": { "GITHUB_PERSONAL_ACCESS_TOKEN": "ghp_0123456789abcdefghij", "LOG_LEVEL": "debug" }
    },
    "My Files": { "command": "npx", "args": ["-y", "@modelcontextprotocol/server-filesystem", "/home/ada/Documents"] },
    "search": { "command": "uvx", "args": ["search-mcp", "--api-key", "s3cr3t'quoted"] }
  }
}"#;

#[test]
fn a_dry_run_writes_nothing_and_shows_no_secret() {
    let desk = Desk::new();
    desk.put("claude_desktop_config.json", CLAUDE_DESKTOP);
    let report = desk.import("claude_desktop_config.json").unwrap();
    assert_eq!(desk.names(), ["claude_desktop_config.json"]);
    let words = report.in_words();
    let machine = serde_json::to_string(&report).unwrap();
    for secret in ["ghp_0123456789abcdefghij", "s3cr3t"] {
        assert!(!words.contains(secret) && !machine.contains(secret), "{words}");
    }
    let expected = r#"servers:
  github:
    command: npx
    args: ["-y", "@modelcontextprotocol/server-github"]
    env:
      GITHUB_PERSONAL_ACCESS_TOKEN: "file:secrets/github-GITHUB_PERSONAL_ACCESS_TOKEN"
      LOG_LEVEL: debug
  My-Files:
    command: npx
    args: ["-y", "@modelcontextprotocol/server-filesystem", /home/ada/Documents]
  search:
    command: uvx
    args: [search-mcp, "--api-key", "${SEARCH_API_KEY}"]
profiles:
  imported:
    auth: api_key
    servers:
      github: {}
      My-Files: {}
      search: {}
"#;
    assert!(words.contains(expected.trim_end()), "{words}");
    assert!(words.contains(r#"note: "My Files" is called My-Files here"#), "{words}");
}

#[test]
fn what_is_written_is_what_the_hub_reads() {
    let desk = Desk::new();
    desk.put("claude_desktop_config.json", CLAUDE_DESKTOP);
    let report = desk.import("claude_desktop_config.json --write").unwrap();
    assert!(report.in_words().contains("trunkline key create --profile imported"), "{}", report.in_words());
    assert_eq!(desk.names(), ["claude_desktop_config.json", "secrets", "trunkline.env", "trunkline.yaml"]);
    assert_eq!(desk.read("trunkline.env"), "SEARCH_API_KEY='s3cr3t'\\''quoted'\n");
    let lookup = |name: &str| (name == "SEARCH_API_KEY").then(|| "s3cr3t".to_owned());
    let config = config::load_with(&desk.path("trunkline.yaml"), &lookup).unwrap();
    let trunkline_model::Endpoint::Stdio(github) = &config.servers["github"].endpoint else {
        panic!("{config:?}")
    };
    assert_eq!(github.env["GITHUB_PERSONAL_ACCESS_TOKEN"].expose(), "ghp_0123456789abcdefghij");
    assert_eq!(config.profiles["imported"].servers.len(), 3);
}

#[cfg(unix)]
#[test]
fn secrets_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::new();
    desk.put("claude_desktop_config.json", CLAUDE_DESKTOP);
    desk.import("claude_desktop_config.json --write").unwrap();
    let mode = |name: &str| fs::metadata(desk.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("secrets"), 0o700);
    assert_eq!(mode("secrets/github-GITHUB_PERSONAL_ACCESS_TOKEN"), 0o600);
    assert_eq!(mode("trunkline.env"), 0o600);
}

#[test]
fn an_existing_configuration_keeps_every_line_and_a_second_import_changes_nothing() {
    let before = "# our hub\nlisten: 127.0.0.1:7400   # loopback\n\nservers:\n  github: { command: other }   # not the same\n  time: { command: uvx, args: [mcp-server-time] }\n\nprofiles:\n  eng:\n    auth: none\n    servers:\n      time: {}\n";
    let desk = Desk::new();
    desk.put("trunkline.yaml", before);
    desk.put("claude_desktop_config.json", CLAUDE_DESKTOP);
    let report = desk.import("claude_desktop_config.json --profile eng --write").unwrap();
    let after = desk.read("trunkline.yaml");
    let kept: Vec<&str> = after.lines().filter(|line| before.lines().any(|old| old == *line)).collect();
    assert_eq!(kept, before.lines().collect::<Vec<_>>());
    assert!(after.contains("\n  github-2:\n") && after.contains("\n      github-2: {}\n"), "{after}");
    let words = report.in_words();
    assert!(words.contains("The old file is"), "{words}");

    let again = desk.import("claude_desktop_config.json --profile eng --write").unwrap();
    assert!(again.in_words().contains("Nothing is to be added"), "{}", again.in_words());
    assert_eq!(desk.read("trunkline.yaml"), after);
    assert_eq!(fs::read_dir(desk.path("secrets")).unwrap().count(), 1);
}

#[test]
fn variables_of_a_client_are_named_for_whoever_sets_them() {
    let desk = Desk::new();
    desk.put(
        ".vscode/mcp.json",
        r#"{
  // shared with the team
  "inputs": [{ "type": "promptString", "id": "gh-token", "description": "Token", "password": true }],
  "servers": {
    "github": { "type": "http", "url": "https://api.example.com/mcp", "headers": { "Authorization": "Bearer ${input:gh-token}", "Content-Type": "application/json" } },
    "files": { "command": "npx", "args": ["-y", "files", "${workspaceFolder}"], "env": { "TOKEN": "${env:FILES_TOKEN}" } },
  }
}"#,
    );
    let report = desk.import(".vscode/mcp.json").unwrap();
    let words = report.in_words();
    for expected in [
        "headers:\n      Authorization: \"Bearer ${GH_TOKEN}\"\n  files",
        "to be set: GH_TOKEN for github (was ${input:gh-token})",
        "to be set: WORKSPACE_FOLDER for files (was ${workspaceFolder})",
        "TOKEN: \"${FILES_TOKEN}\"",
    ] {
        assert!(words.contains(expected), "{expected}\n{words}");
    }
    assert!(report.secrets().is_empty());
}

#[test]
fn several_files_come_together_and_names_do_not_clash() {
    let desk = Desk::new();
    desk.put(
        ".mcp.json",
        r#"{ "mcpServers": {
        "docs": { "type": "http", "url": "https://docs.example/mcp", "headers": { "X-Api-Key": "one" } },
        "hub": { "command": "/usr/bin/trunkline", "args": ["proxy", "http://127.0.0.1:7400/mcp/x"] },
        "leaky": { "type": "http", "url": "https://x.example/mcp?api_key=abc" },
        "off": { "command": "x", "disabled": true } } }"#,
    );
    desk.put("codex.toml", "[mcp_servers.docs]\nurl = \"https://other.example/mcp\"\nhttp_headers = { \"X-Api-Key\" = \"two\" }\nenabled_tools = [\"search\"]\n");
    let report = desk.import(".mcp.json codex.toml --write").unwrap();
    let words = report.in_words();
    assert_eq!(desk.read("secrets/docs-X-Api-Key"), "one\n");
    assert_eq!(desk.read("secrets/docs-2-X-Api-Key"), "two\n");
    let yaml = desk.read("trunkline.yaml");
    assert!(yaml.contains("      docs-2:\n        tools: { include: [search] }\n"), "{yaml}");
    for skipped in ["skipped: hub: it is a way to a hub", "skipped: leaky:", "skipped: off:"] {
        assert!(words.contains(skipped), "{skipped}\n{words}");
    }
    assert!(!yaml.contains("leaky") && !words.contains("abc"), "{words}");
    config::load_with(&desk.path("trunkline.yaml"), &|_| None).unwrap();
}

#[test]
fn a_secret_file_that_holds_something_else_is_not_overwritten() {
    let desk = Desk::new();
    desk.put("secrets/docs-X-Api-Key", "precious\n");
    desk.put(".mcp.json", r#"{ "mcpServers": { "docs": { "url": "https://docs.example/mcp", "headers": { "X-Api-Key": "new" } } } }"#);
    desk.import(".mcp.json --write").unwrap();
    assert_eq!(desk.read("secrets/docs-X-Api-Key"), "precious\n");
    assert_eq!(desk.read("secrets/docs-X-Api-Key-2"), "new\n");
    assert!(desk.read("trunkline.yaml").contains("file:secrets/docs-X-Api-Key-2"));
}

#[test]
fn what_cannot_be_done_leaves_everything_as_it_was() {
    let desk = Desk::new();
    desk.put(".mcp.json", r#"{ "mcpServers": { "docs": { "url": "https://docs.example/mcp", "headers": { "X-Api-Key": "new" } } } }"#);
    for config in ["servers: { a: { command: x } }\n", "servers: [\n", "servers: 5\n"] {
        desk.put("trunkline.yaml", config);
        assert!(desk.import(".mcp.json --write").is_err(), "{config}");
        assert_eq!(desk.read("trunkline.yaml"), config);
        assert_eq!(desk.names(), [".mcp.json", "trunkline.yaml"]);
    }
    desk.put("other.json", "{}");
    let error = format!("{:#}", desk.import("other.json").unwrap_err());
    assert!(error.contains("other.json") && error.contains("`mcpServers`"), "{error}");
    assert!(desk.import("missing.json").is_err());
}

#[test]
fn a_registry_entry_names_what_must_be_set() {
    let desk = Desk::new();
    desk.put("server.json", r#"{
  "$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json",
  "name": "io.github.acme/weather", "description": "Weather", "version": "2.1.0",
  "packages": [{ "registryType": "npm", "identifier": "@acme/weather", "version": "2.1.0", "transport": { "type": "stdio" },
    "environmentVariables": [{ "name": "WEATHER_KEY", "isRequired": true, "isSecret": true }] }],
  "remotes": [{ "type": "streamable-http", "url": "https://weather.example/mcp" }] }"#);
    let report = desk.import("server.json --write").unwrap();
    let yaml = desk.read("trunkline.yaml");
    assert!(yaml.contains("weather:\n    command: npx\n    args: [\"-y\", \"@acme/weather@2.1.0\"]\n    env:\n      WEATHER_KEY: \"${WEATHER_KEY}\"\n"), "{yaml}");
    let words = report.in_words();
    assert!(
        words.contains("Before the hub takes the configuration:") && words.contains("WEATHER_KEY is not set"),
        "{words}"
    );
}
