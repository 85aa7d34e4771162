//! Each client with a file as people have them.

use std::fs;
use std::time::Duration;

use base64::Engine as _;
use clap::Parser;
use serde_json::{Value, json};
use trunkline_model::{ManualClock, Timestamp};

use super::*;

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    args: ConnectArgs,
}

fn args(words: &str) -> ConnectArgs {
    CommandLine::try_parse_from(["connect"].into_iter().chain(words.split_whitespace())).unwrap().args
}

struct Desk {
    home: tempfile::TempDir,
    clock: ManualClock,
}

impl Desk {
    fn new() -> Self {
        let start = Timestamp::from_micros(1_795_356_095_000_000);
        Self { home: tempfile::tempdir().unwrap(), clock: ManualClock::starting_at(start) }
    }

    fn place(&self) -> Surroundings {
        Surroundings {
            system: "linux".to_owned(),
            home: self.home.path().to_owned(),
            ..Surroundings::default()
        }
    }

    fn put(&self, file: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn connect(&self, words: &str) -> anyhow::Result<Report> {
        connect(
            &args(&format!("{words} --profile eng --url http://127.0.0.1:7400")),
            &self.place(),
            &self.clock,
        )
    }

    /// Writes twice and expects `after`, a backup of `before`, and no second change.
    fn edits(&self, words: &str, file: &str, before: &str, after: &str) {
        let path = self.put(file, before);
        let words = format!("{words} --write");
        let written = self.connect(&words).unwrap().written.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), after);
        assert_eq!(fs::read_to_string(written.backup.unwrap()).unwrap(), before);
        self.clock.advance(Duration::from_mins(1));
        let again = self.connect(&words).unwrap().written.unwrap();
        assert_eq!(again.change, Change::Unchanged);
        assert_eq!(again.backup, None);
        assert_eq!(fs::read_to_string(&path).unwrap(), after);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 2, "the file and one backup");
    }
}

#[test]
fn claude_code() {
    let before = r#"{
  "numStartups": 41,
  "projects": {
    "/home/ada/src": { "allowedTools": [], "history": [ "déjà vu" ] }
  },
  "mcpServers": {
    "notes": {
      "command": "npx",
      "args": ["-y", "notes-mcp"],
      "env": {}
    }
  },
  "userID": "0123"
}"#;
    let after = before.replace(
        "      \"env\": {}\n    }\n",
        r#"      "env": {}
    },
    "trunkline": {
      "type": "http",
      "url": "http://127.0.0.1:7400/mcp/eng",
      "headers": {
        "Authorization": "Bearer tlk_abc"
      }
    }
"#,
    );
    Desk::new().edits("claude-code --key tlk_abc", ".claude.json", before, &after);
}

#[test]
fn claude_desktop() {
    let desk = Desk::new();
    let path = desk.put(".config/Claude/claude_desktop_config.json", "{\n\t\"theme\": \"dark\"\n}\n");
    desk.connect("claude-desktop --key tlk_abc --write").unwrap();
    let text = fs::read_to_string(path).unwrap();
    assert!(
        text.starts_with("{\n\t\"theme\": \"dark\",\n\t\"mcpServers\": {\n\t\t\"trunkline\": {\n"),
        "{text}"
    );
    let value: Value = serde_json::from_str(&text).unwrap();
    let entry = &value["mcpServers"]["trunkline"];
    assert_eq!(entry["command"], std::env::current_exe().unwrap().to_str().unwrap());
    assert_eq!(entry["args"], json!(["proxy", "http://127.0.0.1:7400/mcp/eng"]));
    assert_eq!(entry["env"], json!({ "TRUNKLINE_KEY": "tlk_abc" }));
}

#[test]
fn cursor() {
    let before = "{\n    // the team's\n    \"mcpServers\": {\n        \"db\": { \"url\": \"https://db.example/mcp\" }, // keep\n    },\n}\n";
    let after = "{\n    // the team's\n    \"mcpServers\": {\n        \"db\": { \"url\": \"https://db.example/mcp\" }, // keep\n        \
                 \"trunkline\": {\n            \"url\": \"http://127.0.0.1:7400/mcp/eng\",\n            \
                 \"headers\": {\n                \"Authorization\": \"Bearer ${env:TL}\",\n            },\n        },\n    },\n}\n";
    Desk::new().edits("cursor --key-env TL", ".cursor/mcp.json", before, after);
}

#[test]
fn vscode() {
    let before = r#"{
	"inputs": [
		// asked once
		{ "type": "promptString", "id": "gh", "description": "Token", "password": true }
	],
	"servers": {
		/* ours */
		"github": { "type": "http", "url": "https://api.example/mcp", "headers": { "Authorization": "Bearer ${input:gh}" } }
	}
}
"#;
    let after = before.replace(
        "${input:gh}\" } }\n",
        "${input:gh}\" } },\n\t\t\"trunkline\": {\n\t\t\t\"type\": \"http\",\n\t\t\t\"url\": \"http://127.0.0.1:7400/mcp/eng\"\n\t\t}\n",
    );
    Desk::new().edits("vscode", ".config/Code/User/mcp.json", before, &after);
}

#[test]
fn codex() {
    let before = "# my settings\nmodel = \"gpt-5\"   # the big one\n\n[mcp_servers.docs]\ncommand = \"npx\"\nargs = [\n  \"-y\", # yes\n  \"docs\",\n]\n\n[profiles.fast]\nmodel = \"mini\"\n";
    let after = "# my settings\nmodel = \"gpt-5\"   # the big one\n\n[mcp_servers.docs]\ncommand = \"npx\"\nargs = [\n  \"-y\", # yes\n  \"docs\",\n]\n\n[mcp_servers.trunkline]\nurl = \"http://127.0.0.1:7400/mcp/eng\"\nbearer_token_env_var = \"TL\"\n\n[profiles.fast]\nmodel = \"mini\"\n";
    Desk::new().edits("codex --key-env TL", ".codex/config.toml", before, after);
}

#[test]
fn codex_with_a_key() {
    let after = "[mcp_servers.trunkline]\nurl = \"http://127.0.0.1:7400/mcp/eng\"\nhttp_headers = { Authorization = \"Bearer tlk_abc\" }\n";
    Desk::new().edits("codex --key tlk_abc", ".codex/config.toml", "", after);
}

#[test]
fn gemini() {
    let before = "{\n  \"security\": { \"auth\": { \"selectedType\": \"oauth-personal\" } },\n  \"mcpServers\": {}\n}\n";
    let after = "{\n  \"security\": { \"auth\": { \"selectedType\": \"oauth-personal\" } },\n  \"mcpServers\": {\n    \"trunkline\": {\n      \"httpUrl\": \"http://127.0.0.1:7400/mcp/eng\",\n      \"headers\": {\n        \"Authorization\": \"Bearer ${TL}\"\n      }\n    }\n  }\n}\n";
    Desk::new().edits("gemini --key-env TL", ".gemini/settings.json", before, after);
}

#[test]
fn opencode_in_both_layouts() {
    let before = "{\n  \"$schema\": \"https://opencode.ai/config.json\"\n}\n";
    let after = "{\n  \"$schema\": \"https://opencode.ai/config.json\",\n  \"mcp\": {\n    \"trunkline\": {\n      \"type\": \"remote\",\n      \"url\": \"http://127.0.0.1:7400/mcp/eng\",\n      \"headers\": {\n        \"Authorization\": \"Bearer {env:TL}\"\n      }\n    }\n  }\n}\n";
    Desk::new().edits("opencode --key-env TL", ".config/opencode/opencode.json", before, after);

    let desk = Desk::new();
    let newer = desk.put(".config/opencode/opencode.jsonc", "{ \"mcp\": { \"servers\": { /* none */ } } }");
    desk.connect("opencode --write").unwrap();
    let value = jsonc::parse(&fs::read_to_string(newer).unwrap()).unwrap();
    assert_eq!(value["mcp"]["servers"]["trunkline"]["type"], "remote");
}

#[test]
fn an_entry_that_differs_is_updated() {
    let desk = Desk::new();
    let path = desk.put(
        ".cursor/mcp.json",
        "{\"mcpServers\":{\"trunkline\":{\"url\":\"http://old/\"},\"b\":{\"url\":\"u\"}}}",
    );
    let written = desk.connect("cursor --write").unwrap().written.unwrap();
    assert_eq!(written.change, Change::Updated);
    let value: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(
        value,
        json!({ "mcpServers": { "trunkline": { "url": "http://127.0.0.1:7400/mcp/eng" }, "b": { "url": "u" } } })
    );
}

#[test]
fn a_file_that_cannot_be_understood_is_not_touched() {
    for (client, file, text) in [
        ("claude-code", ".claude.json", "{ \"mcpServers\": "),
        ("claude-code", ".claude.json", "[1]"),
        ("cursor", ".cursor/mcp.json", "{ \"mcpServers\": [] }"),
        ("codex", ".codex/config.toml", "model = "),
    ] {
        let desk = Desk::new();
        let path = desk.put(file, text);
        let error = desk.connect(&format!("{client} --write")).unwrap_err();
        assert!(format!("{error:#}").contains("is left as it is"), "{error:#}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }
}

#[test]
fn a_missing_file_is_made_and_another_can_be_named() {
    let desk = Desk::new();
    let report = desk.connect("gemini --write").unwrap();
    assert_eq!(report.written.unwrap().change, Change::Added);
    assert!(desk.home.path().join(".gemini/settings.json").exists());
    let project = desk.home.path().join("project/.mcp.json");
    desk.connect(&format!("claude-code --write --name hub --file {}", project.display())).unwrap();
    let value: Value = serde_json::from_str(&fs::read_to_string(project).unwrap()).unwrap();
    assert_eq!(value["mcpServers"]["hub"]["type"], "http");
    assert!(!desk.home.path().join(".claude.json").exists());
}

#[test]
fn without_write_nothing_is_written_and_every_way_is_told() {
    let desk = Desk::new();
    for client in ["claude-code", "claude-desktop", "cursor", "vscode", "codex", "gemini", "opencode"] {
        let report = desk.connect(&format!("{client} --key-env TL")).unwrap();
        assert!(report.in_words().contains("http://127.0.0.1:7400/mcp/eng"), "{client}");
        assert!(report.written.is_none());
    }
    assert_eq!(fs::read_dir(desk.home.path()).unwrap().count(), 0);

    let ways = |words: &str| {
        let report = desk.connect(words).unwrap();
        (report.add_command.unwrap_or_default(), report.link.unwrap_or_default())
    };
    assert_eq!(
        ways("claude-code --key tlk_a'b").0,
        "claude mcp add --transport http --scope user trunkline http://127.0.0.1:7400/mcp/eng \
         --header 'Authorization: Bearer tlk_a'\\''b'"
    );
    assert_eq!(
        ways("codex --key-env TL").0,
        "codex mcp add trunkline --url http://127.0.0.1:7400/mcp/eng --bearer-token-env-var TL"
    );
    let (command, link) = ways("vscode");
    assert_eq!(
        command,
        r#"code --add-mcp '{"name":"trunkline","type":"http","url":"http://127.0.0.1:7400/mcp/eng"}'"#
    );
    assert_eq!(
        link,
        "vscode:mcp/install?%7B%22name%22%3A%22trunkline%22%2C%22type%22%3A%22http%22%2C%22url%22%3A%22http%3A%2F%2F127.0.0.1%3A7400%2Fmcp%2Feng%22%7D"
    );
    let (_, link) = ways("cursor");
    let config =
        link.strip_prefix("cursor://anysphere.cursor-deeplink/mcp/install?name=trunkline&config=").unwrap();
    let config = base64::engine::general_purpose::STANDARD.decode(config.replace("%3D", "=")).unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&config).unwrap(),
        json!({ "url": "http://127.0.0.1:7400/mcp/eng" })
    );
    assert_eq!(ways("cursor --key tlk_abc").1, "", "a link must not carry a key");
}

#[test]
fn each_system_has_its_own_folders() {
    let at = |system: &str| Surroundings {
        system: system.to_owned(),
        home: PathBuf::from("/home/ada"),
        app_data: Some(PathBuf::from("/roaming")),
        codex_home: Some(PathBuf::from("/codex")),
        ..Surroundings::default()
    };
    let file = |client: Client, system| client.file(&at(system)).display().to_string();
    assert_eq!(
        file(Client::ClaudeDesktop, "macos"),
        "/home/ada/Library/Application Support/Claude/claude_desktop_config.json"
    );
    assert_eq!(file(Client::ClaudeDesktop, "windows"), "/roaming/Claude/claude_desktop_config.json");
    assert_eq!(file(Client::Vscode, "linux"), "/home/ada/.config/Code/User/mcp.json");
    assert_eq!(file(Client::Codex, "linux"), "/codex/config.toml");
}

#[test]
fn arguments_that_cannot_be_meant_are_refused() {
    for words in [
        "claude-code",
        "netscape --profile eng",
        "claude-code --profile a/b",
        "claude-code --profile eng --key abc",
        "claude-code --profile eng --key tlk_a --key-env B",
        "claude-code --profile eng --key-env 1B",
        "claude-code --profile eng --url nonsense",
    ] {
        let parsed = CommandLine::try_parse_from(["connect"].into_iter().chain(words.split_whitespace()));
        assert!(parsed.is_err(), "{words}");
    }
}
