//! The command line as a person or a script uses it: the built binary.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A directory of its own with a configuration in it.
struct Place(TempDir);

impl Place {
    fn new(config: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::write(place.path().join("trunkline.yaml"), config).unwrap();
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trunkline"));
        command
            .args(args)
            .current_dir(self.path())
            .env_remove("TRUNKLINE_LOG")
            .env_remove("TRUNKLINE_LOG_FORMAT");
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a command that must end with `code`, and gives its standard output.
    fn expect(&self, code: i32, args: &[&str]) -> String {
        let output = self.run(args);
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{args:?}\n{stdout}\n{stderr}");
        stdout
    }

    fn json(&self, code: i32, args: &[&str]) -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.expect(code, &args)).unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

const TEAM: &str = "servers:\n  shell: { command: /bin/sh, args: [-c, \"exit 1\"] }\nprofiles:\n  \
                    engineering: { auth: api_key, servers: { shell: {} } }\n";

#[test]
fn every_command_has_help_with_an_example() {
    let place = Place::new(TEAM);
    let help = place.expect(0, &["--help"]);
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    assert!(commands.len() >= 12, "{commands:?}");
    assert!(!commands.contains(&"sample-server"));
    for command in commands {
        let help = place.expect(0, &[command, "--help"]);
        assert!(help.contains("Example"), "{command} has no example in its help");
    }
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    let place = Place::new(TEAM);
    for wrong in [&["bogus"][..], &["check"], &["key", "create"], &["serve", "--listen", "nowhere"], &[]] {
        assert_eq!(place.run(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn check_tells_faults_with_their_places() {
    let place = Place::new(TEAM);
    assert_eq!(place.expect(0, &["check", "trunkline.yaml"]), "trunkline.yaml: ok (1 server, 1 profile)\n");
    std::fs::write(place.path().join("bad.yaml"), "servers:\n  a: { comand: x }\nlisten: nowhere\n").unwrap();
    let words = place.expect(1, &["check", "bad.yaml"]);
    assert!(
        words.contains("bad.yaml:2:8: servers.a.comand: unknown key; did you mean `command`?"),
        "{words}"
    );
    assert!(words.ends_with("bad.yaml: 2 faults\n"), "{words}");
    let report = place.json(1, &["check", "bad.yaml"]);
    assert_eq!(report["ok"], false);
    assert_eq!((&report["problems"][0]["line"], &report["problems"][0]["column"]), (&2.into(), &8.into()));
    assert_eq!(report["problems"][1]["path"], "listen");
}

#[test]
fn what_is_not_served_yet_is_said() {
    let place = Place::new("providers: { openai: { kind: openai, api_key: x } }\n");
    let words = place.expect(0, &["check", "trunkline.yaml"]);
    assert!(words.contains("providers and routes are read but not served yet"), "{words}");
}

#[test]
fn the_schema_is_json() {
    let schema: Value = serde_json::from_str(&Place::new(TEAM).expect(0, &["schema"])).unwrap();
    assert!(schema["properties"]["servers"].is_object());
}

#[test]
fn a_key_is_shown_once_listed_without_itself_and_revoked() {
    let place = Place::new(TEAM);
    let created =
        place.json(0, &["key", "create", "--profile", "engineering", "--name", "ci", "--expires", "30d"]);
    let (key, id) = (created["key"].as_str().unwrap(), created["id"].as_str().unwrap());
    assert!(key.starts_with("tlk_") && id.starts_with("key_") && created["expires_at"].is_string());
    let listed = place.expect(0, &["key", "list", "--json"]);
    assert!(!listed.contains(key), "the list shows the key");
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((&listed["keys"][0]["id"], &listed["keys"][0]["live"]), (&id.into(), &true.into()));
    assert_eq!(listed["keys"][0]["name"], "ci");
    assert_eq!(place.json(0, &["key", "revoke", id])["revoked_now"], true);
    assert_eq!(place.json(0, &["key", "revoke", id])["revoked_now"], false);
    assert_eq!(place.json(0, &["key", "list"])["keys"][0]["live"], false);
    place.expect(1, &["key", "revoke", "key_0192f0c17cf87e3f8a5d1f2e3c4b5a69"]);
}

#[test]
fn a_key_for_an_unknown_profile_is_refused_with_the_nearest() {
    let place = Place::new(TEAM);
    let output = place.run(&["key", "create", "--profile", "enginering"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("did you mean `engineering`?"));
    assert!(!place.path().join("trunkline-data").exists(), "a refused command leaves no database");
}

#[test]
fn errors_are_json_too() {
    let place = Place::new("servers: [");
    let output = place.run(&["key", "list", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let error: Value = serde_json::from_slice(&output.stderr).unwrap();
    assert!(error["error"].as_str().unwrap().contains("trunkline.yaml:1"), "{error}");
    assert!(output.stdout.is_empty());
}

#[test]
fn without_a_hub_lists_show_the_configuration_and_say_so() {
    let place = Place::new(TEAM);
    let output = place.run(&["server", "list"]);
    assert!(
        text(&output.stdout).contains("/bin/sh -c exit 1") && text(&output.stderr).contains("no hub runs")
    );
    let servers = place.json(0, &["server", "list"]);
    assert_eq!((&servers["running"], &servers["servers"][0]["kind"]), (&false.into(), &"stdio".into()));
    let profiles = place.json(0, &["profile", "list"]);
    assert_eq!(profiles["profiles"][0]["endpoint"], "http://127.0.0.1:7400/mcp/engineering");
    for needs_a_hub in [&["server", "logs", "shell"][..], &["profile", "tools", "engineering"]] {
        place.expect(1, needs_a_hub);
    }
}

#[test]
fn what_a_command_changes_stands_in_the_trail_without_a_hub_too() {
    let place = Place::new(TEAM);
    place.expect(1, &["audit", "verify"]);
    place.expect(0, &["key", "create", "--profile", "engineering"]);
    let report = place.json(0, &["audit", "verify"]);
    assert_eq!((&report["intact"], &report["events"]), (&true.into(), &1.into()));
    let trail = place.expect(0, &["audit", "export"]);
    assert!(trail.contains("POST /api/v1/keys") && !trail.contains("tlk_"), "{trail}");
    assert_eq!(place.expect(0, &["audit", "export", "--profile", "engineering"]), "");
}

#[test]
fn doctor_finds_what_is_wrong_and_how_to_mend_it() {
    let config = "listen: 127.0.0.1:0\nservers:\n  ok: { command: /bin/sh }\n  gone: { command: trunkline-no-such-program }\n";
    let place = Place::new(config);
    let report = place.json(1, &["doctor"]);
    let findings = report["findings"].as_array().unwrap();
    let of = |subject: &str| findings.iter().find(|finding| finding["subject"] == subject).unwrap();
    assert_eq!(of("program trunkline-no-such-program")["status"], "fail");
    assert!(of("program trunkline-no-such-program")["fix"].is_string());
    assert_eq!(of("program /bin/sh")["status"], "ok");
    assert!(!place.path().join("trunkline-data").exists(), "looking makes nothing");
    std::fs::write(place.path().join("trunkline.yaml"), TEAM.replace("shell: {}", "shel: {}")).unwrap();
    let words = place.expect(1, &["doctor"]);
    assert!(words.contains("did you mean `shell`?"), "{words}");
}

#[test]
fn serve_refuses_an_open_profile_on_the_network() {
    let place = Place::new("profiles: { open: { auth: none } }\n");
    let output = place.run(&["serve", "--listen", "0.0.0.0:0"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("unauthenticated_network: allowed"));
}

/// A running hub; it is stopped when this is dropped.
struct Hub(Child);

impl Hub {
    /// Starts the demonstration and reads what it prints when it is ready.
    fn demo(place: &Place) -> (Self, Value) {
        let args = ["demo", "--only-sample", "--listen", "127.0.0.1:0", "--json"];
        let mut child = place.command(&args).stdout(Stdio::piped()).spawn().unwrap();
        let mut announcement = String::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            announcement.push_str(&line);
            if line == "}" {
                break;
            }
        }
        (Self(child), serde_json::from_str(&announcement).unwrap())
    }

    /// Asks it to stop, as a supervisor does, and waits for its end.
    fn stop(mut self) -> Option<i32> {
        let asked = Command::new("kill").arg(self.0.id().to_string()).status().unwrap();
        assert!(asked.success());
        self.0.wait().unwrap().code()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Adds two and three through the endpoint; gives the whole answer.
fn add(endpoint: &str, key: &str) -> String {
    let address = endpoint.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"sample__add","arguments":{"a":2,"b":3},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
    let request = format!(
        "POST /mcp/demo HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nAuthorization: Bearer {key}\r\n\
         Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n\
         MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: tools/call\r\nMcp-Name: sample__add\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// Repeats `look` until it is true; twenty seconds is far more than anything here takes.
fn eventually(what: &str, look: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !look() {
        assert!(Instant::now() < deadline, "never happened: {what}");
    }
}

#[test]
fn the_demonstration_serves_and_commands_work_beside_it() {
    let place = Place::new("");
    let data = ["--data", "trunkline-data/demo"];
    let beside = |args: &[&str]| place.json(0, &[args, &data].concat());
    let (hub, announcement) = Hub::demo(&place);
    let (endpoint, key) = (announcement["endpoint"].as_str().unwrap(), announcement["key"].as_str().unwrap());
    assert_eq!(
        announcement["claude_code"],
        format!(
            "claude mcp add --transport http trunkline {endpoint} --header \"Authorization: Bearer {key}\""
        )
    );
    assert!(add(endpoint, key).contains(r#""structuredContent":{"sum":5}"#));

    let servers = beside(&["server", "list"]);
    assert_eq!((&servers["running"], &servers["servers"][0]["state"]["is"]), (&true.into(), &"ready".into()));
    assert_eq!(beside(&["profile", "list"])["profiles"][0]["endpoint"], endpoint);
    let tools = beside(&["profile", "tools", "demo"]);
    assert!(tools["tools"].as_array().unwrap().iter().any(|tool| tool["name"] == "sample__add"));
    assert!(beside(&["server", "logs", "sample"])["lines"].is_array());
    assert_eq!(beside(&["audit", "verify"])["intact"], true);
    let trail = place.expect(0, &["audit", "export", "--profile", "demo", data[0], data[1]]);
    let event: Value = serde_json::from_str(&trail).unwrap();
    assert_eq!((&event["event"]["target"], &event["event"]["outcome"]["is"]), (&"add".into(), &"ok".into()));

    let created = beside(&["key", "create", "--profile", "demo"]);
    let second = created["key"].as_str().unwrap();
    eventually("the new key opens the profile", || add(endpoint, second).contains("structuredContent"));
    beside(&["key", "revoke", created["id"].as_str().unwrap()]);
    eventually("the revoked key opens nothing", || add(endpoint, second).starts_with("HTTP/1.1 401"));
    assert!(add(endpoint, key).contains("structuredContent"), "the other key still works");
    assert_eq!(hub.stop(), Some(0));
}

#[test]
fn a_changed_configuration_is_taken_over_and_a_broken_one_is_not() {
    let place = Place::new("listen: 127.0.0.1:0\n");
    let names = || -> Vec<String> {
        let listed = place.json(0, &["profile", "list"]);
        assert_eq!(listed["running"], true);
        let profiles = listed["profiles"].as_array().unwrap();
        profiles.iter().map(|profile| profile["name"].as_str().unwrap().to_owned()).collect()
    };
    let mut command = place.command(&["serve"]);
    let mut child = command.env("TRUNKLINE_LOG_FORMAT", "json").stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut wait_for = |words: &str| {
        let line = log.find(|line| line.as_ref().is_ok_and(|line| line.contains(words))).unwrap().unwrap();
        serde_json::from_str::<Value>(&line).unwrap()
    };
    let hub = Hub(child);
    wait_for("serving");
    assert!(names().is_empty());
    std::fs::write(place.path().join("trunkline.yaml"), "profiles: { one: { auth: api_key } }\n").unwrap();
    eventually("the new profile is served", || names() == ["one"]);
    std::fs::write(place.path().join("trunkline.yaml"), "profiles: { two: { atuh: api_key } }\n").unwrap();
    let line = wait_for("the configuration is not reloaded");
    assert!(line["message"].as_str().unwrap().contains("did you mean `auth`?"), "{line}");
    assert_eq!(names(), ["one"]);
    let asked = Command::new("kill").args(["-HUP", &hub.0.id().to_string()]).status().unwrap();
    assert!(asked.success());
    wait_for("the configuration is not reloaded");
    assert_eq!(names(), ["one"]);
    assert_eq!(hub.stop(), Some(0));
}
