//! Secrets stay where they belong: in no log, answer, list or export, and in
//! no request to somebody else.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;
use trunkline_tests::hub;
use trunkline_tests::process::{self, Process};
use trunkline_tests::raw::{self, RawRequest};
use trunkline_tests::raw_server::{RawCall, RawServer, Step, http};

const BEARER: &str = "canary-bearer-of-the-server";
const HEADER: &str = "canary-header-of-the-server";
const ENVIRONMENT: &str = "canary-environment-of-a-child";
const ARGUMENT: &str = "canary-argument-of-a-call";
const RESULT: &str = "canary-result-of-a-call";

/// What would retitle a terminal and forge a line of a log.
const CONTROL: &str = "x\u{1b}]0;retitled\u{7}\nforged=line";

/// A hub that logs everything, with a secret in every place that takes one.
struct Scene {
    process: Process,
    folder: tempfile::TempDir,
    address: String,
    key: String,
    server: RawServer,
}

impl Scene {
    async fn set() -> Result<Self> {
        let server = RawServer::start(answer).await?;
        let folder = tempfile::tempdir()?;
        let binary = hub::binary()?.display().to_string();
        let configuration = format!(
            "servers:\n  \
             raw: {{ url: \"{url}\", era: legacy, auth: {{ bearer: {BEARER} }}, headers: {{ X-Server-Key: \"${{CANARY}}\" }} }}\n  \
             child: {{ command: {binary:?}, args: [sample-server], env: {{ TOKEN: {ENVIRONMENT} }} }}\n  \
             broken: {{ command: {binary:?}, args: [no-such-command], env: {{ TOKEN: {ENVIRONMENT} }} }}\n  \
             gone: {{ url: \"http://127.0.0.1:1/mcp\", auth: {{ bearer: {BEARER} }} }}\n\
             profiles:\n  team: {{ auth: api_key, servers: {{ raw: {{}}, child: {{}}, broken: {{}}, gone: {{}} }} }}\n",
            url = server.url,
        );
        std::fs::write(folder.path().join("trunkline.yaml"), configuration)?;
        let mut command = hub::program(folder.path())?;
        command.env("TRUNKLINE_LOG", "trace").env("CANARY", HEADER);
        command.args(["serve", "--config", "trunkline.yaml", "--data", "data", "--listen", "127.0.0.1:0"]);
        let mut process = Process::start(command)?;
        let line = process.line(Duration::from_secs(20), |line| line.contains("http://127.0.0.1:")).await?;
        let after = line.split("http://").nth(1).context("no address")?;
        let address = after.chars().take_while(|c| c.is_ascii_digit() || matches!(c, '.' | ':')).collect();
        let mut scene = Self { process, folder, address, key: String::new(), server };
        let created = scene.cli(&["key", "create", "--profile", "team", "--json"]).await?;
        let created: serde_json::Value = serde_json::from_str(&created)?;
        created["key"].as_str().context("no key")?.clone_into(&mut scene.key);
        Ok(scene)
    }

    async fn cli(&self, arguments: &[&str]) -> Result<String> {
        let mut command = hub::program(self.folder.path())?;
        command.env("CANARY", HEADER).args(arguments).args(["--config", "trunkline.yaml", "--data", "data"]);
        let finished = process::run(command, Duration::from_secs(30)).await?;
        Ok(finished.stdout + &finished.stderr)
    }

    /// A request with every header that a caller could hope to have passed on.
    fn request(&self) -> RawRequest {
        RawRequest::new("POST", "/mcp/team?secret=canary-query-of-the-caller")
            .with("Host", &self.address)
            .with("Authorization", format!("Bearer {}", self.key))
            .with("X-Api-Key", &self.key)
            .with("Content-Type", "application/json")
            .with("Accept", "application/json, text/event-stream")
            .with("Cookie", "session=canary-cookie-of-the-caller")
            .with("Proxy-Authorization", "Basic canary-proxy-of-the-caller")
            .with("X-Forwarded-For", "203.0.113.7")
            .with("X-Forwarded-Host", "evil.example")
            .with("X-Forwarded-Authorization", "canary-forwarded-of-the-caller")
            .with("Forwarded", "for=203.0.113.7")
            .with("X-Real-Ip", "203.0.113.7")
            .with("X-Custom", "canary-custom-of-the-caller")
            .with("X-Server-Key", "canary-override-of-the-caller")
            .with("Mcp-Param-Region", "canary-param-of-the-caller")
            .with("Last-Event-Id", "7")
            .with("Referer", "http://localhost/canary-referer")
            .with("Origin", "http://localhost")
            .with("User-Agent", "canary-agent-of-the-caller")
            .with("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
            .with("Baggage", "canary=baggage")
    }

    /// Everything that a caller can make the hub say, in one text.
    async fn provoke(&self) -> Result<String> {
        let hello = trunkline_tests::message::initialize_params("2025-11-25", "{}");
        let opened = self.send(self.request().body(rpc("initialize", &hello))).await?;
        let session = opened.header("mcp-session-id").context("no session")?.to_owned();
        let mut said = opened.text();
        let argument = json!({ "text": ARGUMENT, "a": 1, "b": 2 });
        for (method, params) in [
            ("tools/list", json!({})),
            ("prompts/list", json!({})),
            ("resources/list", json!({})),
            ("tools/call", json!({ "name": "raw__tool", "arguments": argument })),
            ("tools/call", json!({ "name": "raw__tool", "arguments": { "text": "fail" } })),
            ("tools/call", json!({ "name": "raw__tool", "arguments": { "text": "unauthorized" } })),
            ("tools/call", json!({ "name": "raw__tool", "arguments": { "text": "redirect" } })),
            ("tools/call", json!({ "name": "child__add", "arguments": argument })),
            ("tools/call", json!({ "name": "child__fail", "arguments": argument })),
            ("tools/call", json!({ "name": "broken__x", "arguments": argument })),
            ("tools/call", json!({ "name": "gone__x", "arguments": argument })),
            ("tools/call", json!({ "name": CONTROL })),
            (CONTROL, json!({})),
        ] {
            let request =
                self.request().with("Mcp-Session-Id", &session).body(rpc(method, &params.to_string()));
            said += &self.send(request).await?.text().replace(RESULT, "");
        }
        for broken in [
            self.request().body("[]"),
            self.request().set("Host", "evil.example"),
            self.request().set("Authorization", format!("Bearer {}x", self.key)),
            self.request().without("X-Api-Key").set("Authorization", format!("Basic {}", self.key)),
            self.request().aimed("POST", "/mcp/nobody"),
            self.request().with("Mcp-Session-Id", "nobody's").body(rpc("ping", "{}")),
        ] {
            let response = self.send(broken).await?;
            write!(said, "{:?} {}", response.headers, response.text())?;
        }
        Ok(said)
    }

    async fn send(&self, request: RawRequest) -> Result<raw::RawResponse> {
        raw::exchange(&self.address, &request).await
    }
}

fn rpc(method: &str, params: &str) -> String {
    let method = method.replace('\u{1b}', "\\u001b").replace('\n', "\\n").replace('\u{7}', "\\u0007");
    trunkline_tests::message::request("1", &method, params)
}

fn answer(call: &RawCall) -> Option<Vec<Step>> {
    let json = "application/json";
    let written = match (call.method.as_str(), call.text()) {
        ("tools/call", "fail") => http("500 Internal Server Error", json, &format!("{BEARER} {HEADER}")),
        ("tools/call", "unauthorized") => {
            let status =
                format!("401 Unauthorized\r\nWWW-Authenticate: Bearer error_description=\"{BEARER}\"");
            http(&status, json, "{}")
        }
        ("tools/call", "redirect") => {
            http(&format!("302 Found\r\nLocation: http://evil.example/?key={BEARER}"), json, "")
        }
        ("tools/call", _) => {
            let result = json!({ "content": [{ "type": "text", "text": RESULT }] });
            http("200 OK", json, &call.answer_with(&result))
        }
        _ => return None,
    };
    Some(vec![Step::Write(written)])
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_said_or_written() -> Result<()> {
    let scene = Scene::set().await?;
    let mut said = vec![("an answer", scene.provoke().await?)];
    for arguments in [
        &["server", "list", "--json"][..],
        &["server", "list"],
        &["server", "test", "raw"],
        &["server", "test", "broken"],
        &["server", "logs", "child"],
        &["server", "logs", "broken"],
        &["profile", "list", "--json"],
        &["profile", "tools", "team", "--json"],
        &["key", "list", "--json"],
        &["audit", "export"],
        &["audit", "verify"],
        &["doctor"],
        &["no-such-command"],
    ] {
        said.push(("a command", scene.cli(arguments).await?));
    }
    // The list of what a child wrote is no place for this test: children say what they like.
    let trail = scene.cli(&["audit", "export"]).await?;
    assert!(trail.contains("raw") && trail.contains("tools/call"), "{trail}");
    let log = scene.process.output();
    assert!(log.contains("TRACE") || log.contains("DEBUG"), "the log is verbose: {log}");
    assert!(!log.contains("\u{1b}]0;"), "no control sequence of a caller is in it");
    assert!(!log.lines().any(|line| line.starts_with("forged")), "no line of a caller is in it");
    said.push(("the log", log));
    let keys = [scene.key.as_str(), &scene.key["tlk_".len() + 8..]];
    let canaries = [BEARER, HEADER, ENVIRONMENT, ARGUMENT, RESULT, "-of-the-caller"];
    for (place, text) in &said {
        for canary in canaries.iter().chain(&keys) {
            let around = text.find(canary).map(|at| {
                let start = text.floor_char_boundary(at.saturating_sub(300));
                &text[start..text.ceil_char_boundary(at + 60)]
            });
            assert_eq!(around, None, "{canary} is in {place}");
        }
    }
    Ok(())
}

/// A server gets the hub's own headers and its own credential, nothing of the caller's.
#[tokio::test(flavor = "multi_thread")]
async fn no_header_of_the_caller_reaches_a_server() -> Result<()> {
    let scene = Scene::set().await?;
    scene.provoke().await?;
    let received = scene.server.received();
    let calls: Vec<&RawCall> = received.iter().filter(|call| call.method == "tools/call").collect();
    assert_eq!(calls.len(), 4, "{calls:?}");
    let allowed: BTreeSet<&str> = [
        "accept",
        "authorization",
        "content-length",
        "content-type",
        "host",
        "mcp-protocol-version",
        "x-server-key",
    ]
    .into();
    for call in &received {
        let names: BTreeSet<&str> = call.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert!(names.is_subset(&allowed), "{} {}: {names:?}", call.http_method, call.method);
        assert_eq!(names.len(), call.headers.len(), "each stands once");
        let value =
            |name: &str| call.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str());
        assert_eq!(value("authorization"), Some(format!("Bearer {BEARER}").as_str()));
        assert_eq!(value("x-server-key"), Some(HEADER));
        let whole = format!("{:?} {}", call.headers, call.body);
        assert!(!whole.contains(&scene.key) && !whole.contains("of-the-caller"), "{whole}");
    }
    Ok(())
}
