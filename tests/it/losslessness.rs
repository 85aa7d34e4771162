//! What a server says arrives through a transparent profile as the server
//! wrote it, byte for byte.
//!
//! Each test asks two instances of the same server the same questions in the
//! same order: one directly, one through the hub.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::json;
use tempfile::TempDir;
use trunkline_tests::connection::{Connection, call_params};
use trunkline_tests::everything::EverythingServer;
use trunkline_tests::http::Endpoint;
use trunkline_tests::hub::TestHub;
use trunkline_tests::mcp_client::{LegacyClient, ModernClient};
use trunkline_tests::message::{LEGACY, MODERN};
use trunkline_tests::packages::{Packages, StdioServer};
use trunkline_tests::process;
use trunkline_tests::scripted::{Script, ScriptedServer};
use trunkline_tests::sse_client::SseClient;
use trunkline_tests::stdio_client::StdioClient;

/// The era that the hub is told to speak with the server, and that the
/// question is asked in.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Era {
    Legacy,
    Modern,
}

/// The same server twice.
pub(crate) struct Pair {
    pub direct: Connection,
    pub through: Connection,
    /// Ends when the pair is dropped.
    pub hub: Option<TestHub>,
}

/// How often two answers are asked for again because the clock moved on
/// between them.
const CLOCK_TRIES: usize = 5;

impl Pair {
    /// A hub with the one server that `definition` describes in YAML, beside a
    /// connection that leads to another instance of it.
    async fn new(direct: Connection, definition: &str, era: Era) -> Result<Self> {
        let pinned = if era == Era::Modern { "modern" } else { "legacy" };
        let hub = TestHub::start(&format!(
            "servers:\n  upstream: {{ {definition}, era: {pinned} }}\n\
             profiles:\n  team:\n    auth: none\n    servers:\n      upstream: {{ prefix: \"\" }}\n"
        ))
        .await?;
        let endpoint = hub.endpoint("team");
        hub.until_listed(&endpoint).await?;
        let through = match era {
            Era::Legacy => Connection::Legacy(LegacyClient::connect(endpoint).await?),
            Era::Modern => Connection::Modern(ModernClient::new(endpoint)),
        };
        Ok(Self { direct, through, hub: Some(hub) })
    }

    /// A stdio server with two environments that may name different files.
    async fn stdio(line: &[String], environments: [BTreeMap<String, String>; 2], era: Era) -> Result<Self> {
        let [direct, through] = environments;
        let direct = match era {
            Era::Legacy => StdioClient::legacy(line, &direct).await?,
            Era::Modern => StdioClient::modern(line, &direct).await?,
        };
        let (command, arguments) = line.split_first().context("an empty command line")?;
        let definition =
            format!("command: {}, args: {}, env: {}", json!(command), json!(arguments), json!(through));
        Self::new(Connection::Stdio(direct), &definition, era).await
    }

    fn log(&self) -> String {
        self.hub.as_ref().map(TestHub::output).unwrap_or_default()
    }

    /// Every entry of these lists is the same.
    pub(crate) async fn same_lists(&mut self, lists: &[(&str, &str)]) -> Result<()> {
        for (method, key) in lists {
            let direct = self.direct.list(method, key).await.with_context(|| format!("{method} directly"))?;
            let through = self.through.list(method, key).await;
            let through = through.with_context(|| format!("{method} through the hub:\n{}", self.log()))?;
            assert_eq!(direct.len(), through.len(), "{method}; the hub wrote:\n{}", self.log());
            for (direct, through) in direct.iter().zip(&through) {
                assert_eq!(direct, through, "{method}");
            }
        }
        Ok(())
    }

    /// The answer to this request is the same, whether a result or an error.
    pub(crate) async fn same_answer(&mut self, method: &str, params: &str) -> Result<()> {
        let direct = self.direct.request(method, params).await.context("directly")?;
        let through = self.through.request(method, params).await;
        let through =
            through.with_context(|| format!("{method} {params} through the hub:\n{}", self.log()))?;
        assert_eq!(direct.text(), through.text(), "{method} {params}");
        Ok(())
    }

    /// The results of calling tools are the same.
    pub(crate) async fn same_calls(&mut self, calls: &[(&str, serde_json::Value)]) -> Result<()> {
        for (tool, arguments) in calls {
            self.same_answer("tools/call", &call_params(tool, &arguments.to_string())).await?;
        }
        Ok(())
    }

    /// The same for a result that tells the time, with a resolution of
    /// seconds: the two answers must agree within a few tries.
    pub(crate) async fn same_call_at_the_same_second(&mut self, tool: &str, arguments: &str) -> Result<()> {
        let params = call_params(tool, arguments);
        for _ in 1..CLOCK_TRIES {
            let direct = self.direct.request("tools/call", &params).await?;
            let through = self.through.request("tools/call", &params).await?;
            if direct.text() == through.text() {
                return Ok(());
            }
        }
        self.same_answer("tools/call", &params).await
    }
}

const TOOLS: (&str, &str) = ("tools/list", "tools");
const PROMPTS: (&str, &str) = ("prompts/list", "prompts");
const RESOURCES: (&str, &str) = ("resources/list", "resources");
const TEMPLATES: (&str, &str) = ("resources/templates/list", "resourceTemplates");

/// Every list of the everything server and what it answers the same each time.
pub(crate) async fn compare_everything(pair: &mut Pair) -> Result<()> {
    pair.same_lists(&[TOOLS, PROMPTS, RESOURCES, TEMPLATES]).await?;
    pair.same_calls(&[
        ("echo", json!({ "message": "Grüße, 世界 \u{1f600} \" \\ \u{0} \u{2028}" })),
        ("echo", json!({})),
        ("get-sum", json!({ "a": 0.1, "b": 1e21 })),
        ("get-tiny-image", json!({})),
        ("get-annotated-message", json!({ "messageType": "error", "includeImage": true })),
        ("get-structured-content", json!({ "location": "New York" })),
        ("get-resource-links", json!({ "count": 3 })),
        ("trigger-long-running-operation", json!({ "duration": 0.2, "steps": 2 })),
    ])
    .await?;
    let reference = json!({ "resourceType": "Text", "resourceId": 1 }).to_string();
    pair.same_call_at_the_same_second("get-resource-reference", &reference).await?;
    pair.same_answer("prompts/get", r#"{"name":"simple-prompt"}"#).await?;
    pair.same_answer("prompts/get", r#"{"name":"args-prompt","arguments":{"city":"Ürümqi"}}"#).await?;
    pair.same_answer("prompts/get", r#"{"name":"args-prompt","arguments":{}}"#).await?;
    let complete = r#"{"ref":{"type":"ref/prompt","name":"completable-prompt"},"argument":{"name":"department","value":"S"}}"#;
    pair.same_answer("completion/complete", complete).await?;
    for entry in pair.direct.list("resources/list", "resources").await? {
        let entry: serde_json::Value = serde_json::from_str(&entry)?;
        pair.same_answer("resources/read", &json!({ "uri": entry["uri"] }).to_string()).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_over_stdio_is_unchanged() -> Result<()> {
    let Some(packages) = Packages::or_skip("everything_over_stdio_is_unchanged")? else { return Ok(()) };
    let line = packages.stdio_server(StdioServer::Everything, &["stdio"]);
    let mut pair = Pair::stdio(&line, Default::default(), Era::Legacy).await?;
    compare_everything(&mut pair).await
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_over_streamable_http_is_unchanged() -> Result<()> {
    let Some(packages) = Packages::or_skip("everything_over_streamable_http_is_unchanged")? else {
        return Ok(());
    };
    let home = tempfile::tempdir()?;
    let server = EverythingServer::streamable_http(&packages, home.path()).await?;
    let direct = LegacyClient::connect(Endpoint::new(&server.url)).await?;
    let definition = format!("url: {:?}", server.url);
    let mut pair = Pair::new(Connection::Legacy(direct), &definition, Era::Legacy).await?;
    compare_everything(&mut pair).await
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_over_http_and_sse_is_unchanged() -> Result<()> {
    let Some(packages) = Packages::or_skip("everything_over_http_and_sse_is_unchanged")? else {
        return Ok(());
    };
    let home = tempfile::tempdir()?;
    let server = EverythingServer::sse(&packages, home.path()).await?;
    let direct = SseClient::connect(&Endpoint::new(&server.url), LEGACY).await?;
    let definition = format!("url: {:?}, transport: sse", server.url);
    let mut pair = Pair::new(Connection::Sse(direct), &definition, Era::Legacy).await?;
    compare_everything(&mut pair).await
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_unchanged_for_an_sse_client() -> Result<()> {
    let Some(packages) = Packages::or_skip("everything_is_unchanged_for_an_sse_client")? else {
        return Ok(());
    };
    let line = packages.stdio_server(StdioServer::Everything, &["stdio"]);
    let mut pair = Pair::stdio(&line, Default::default(), Era::Legacy).await?;
    let hub = pair.hub.as_ref().context("the pair has a hub")?;
    let endpoint = Endpoint::new(&format!("{}/sse", hub.url("team")));
    pair.through = Connection::Sse(SseClient::connect(&endpoint, LEGACY).await?);
    compare_everything(&mut pair).await
}

/// A folder with files of different kinds.
pub(crate) fn files() -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    std::fs::create_dir_all(folder.path().join("inner/deep"))?;
    std::fs::write(folder.path().join("notes.txt"), "first\nsecond\r\nthird \u{fffd} ä\n")?;
    std::fs::write(folder.path().join("inner/empty"), "")?;
    std::fs::write(folder.path().join("inner/deep/picture.png"), [137, 80, 78, 71, 13, 10, 26, 10, 0, 255])?;
    Ok(folder)
}

pub(crate) async fn compare_filesystem(pair: &mut Pair, folder: &Path) -> Result<()> {
    let path = |inner: &str| folder.join(inner).display().to_string();
    pair.same_lists(&[TOOLS]).await?;
    pair.same_calls(&[
        ("list_allowed_directories", json!({})),
        ("get_file_info", json!({ "path": path("inner/empty") })),
        ("directory_tree", json!({ "path": path("") })),
        ("list_directory", json!({ "path": path("inner") })),
        ("list_directory_with_sizes", json!({ "path": path("inner") })),
        ("read_text_file", json!({ "path": path("notes.txt") })),
        ("read_text_file", json!({ "path": path("notes.txt"), "head": 1 })),
        ("read_multiple_files", json!({ "paths": [path("notes.txt"), path("missing")] })),
        ("read_media_file", json!({ "path": path("inner/deep/picture.png") })),
        ("read_text_file", json!({ "path": "/etc/passwd" })),
        ("read_text_file", json!({ "path": 7 })),
        ("search_files", json!({ "path": path(""), "pattern": "**/*.png" })),
        ("write_file", json!({ "path": path("written.txt"), "content": "same\u{0}bytes" })),
        ("read_text_file", json!({ "path": path("written.txt") })),
    ])
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn filesystem_is_unchanged() -> Result<()> {
    let Some(packages) = Packages::or_skip("filesystem_is_unchanged")? else { return Ok(()) };
    let folder = files()?;
    let line = packages.stdio_server(StdioServer::Filesystem, &[&folder.path().display().to_string()]);
    let mut pair = Pair::stdio(&line, Default::default(), Era::Legacy).await?;
    compare_filesystem(&mut pair, folder.path()).await
}

pub(crate) async fn compare_memory(pair: &mut Pair) -> Result<()> {
    let entity = json!({ "name": "Ada", "entityType": "person", "observations": ["wrote notes", "ünïcode"] });
    let other = json!({ "name": "Engine", "entityType": "machine", "observations": [] });
    let relation = json!({ "from": "Ada", "to": "Engine", "relationType": "described" });
    pair.same_lists(&[TOOLS]).await?;
    pair.same_calls(&[
        ("read_graph", json!({})),
        ("create_entities", json!({ "entities": [entity, other] })),
        ("create_relations", json!({ "relations": [relation] })),
        ("search_nodes", json!({ "query": "ünïcode" })),
        ("open_nodes", json!({ "names": ["Ada", "nobody"] })),
        ("delete_entities", json!({ "entityNames": ["Engine"] })),
        ("add_observations", json!({ "observations": [{ "entityName": "nobody", "contents": ["x"] }] })),
        ("read_graph", json!({})),
    ])
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_unchanged() -> Result<()> {
    let Some(packages) = Packages::or_skip("memory_is_unchanged")? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let environments = ["direct", "through"].map(|name| {
        let file = folder.path().join(name).with_extension("jsonl");
        BTreeMap::from([("MEMORY_FILE_PATH".to_owned(), file.display().to_string())])
    });
    let line = packages.stdio_server(StdioServer::Memory, &[]);
    let mut pair = Pair::stdio(&line, environments, Era::Legacy).await?;
    compare_memory(&mut pair).await
}

pub(crate) async fn compare_time(pair: &mut Pair) -> Result<()> {
    pair.same_lists(&[TOOLS]).await?;
    pair.same_call_at_the_same_second("get_current_time", r#"{"timezone":"Europe/Berlin"}"#).await?;
    let convert = json!({ "source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Kathmandu" });
    pair.same_call_at_the_same_second("convert_time", &convert.to_string()).await?;
    pair.same_calls(&[
        ("get_current_time", json!({ "timezone": "Nowhere/At_All" })),
        ("convert_time", json!({ "source_timezone": "UTC", "time": "25:00", "target_timezone": "UTC" })),
        ("convert_time", json!({})),
    ])
    .await
}

async fn time_is_unchanged(test: &str, era: Era) -> Result<()> {
    let Some(packages) = Packages::or_skip(test)? else { return Ok(()) };
    let line = packages.stdio_server(StdioServer::Time, &["--local-timezone", "UTC"]);
    let mut pair = Pair::stdio(&line, Default::default(), era).await?;
    compare_time(&mut pair).await
}

#[tokio::test(flavor = "multi_thread")]
async fn time_is_unchanged_in_the_legacy_era() -> Result<()> {
    time_is_unchanged("time_is_unchanged_in_the_legacy_era", Era::Legacy).await
}

#[tokio::test(flavor = "multi_thread")]
async fn time_is_unchanged_in_the_modern_era() -> Result<()> {
    time_is_unchanged("time_is_unchanged_in_the_modern_era", Era::Modern).await
}

/// A repository with two commits and a change that is not committed.
pub(crate) async fn repository() -> Result<TempDir> {
    let folder = tempfile::tempdir()?;
    let write = |text: &str| std::fs::write(folder.path().join("notes.txt"), text);
    git(folder.path(), &["init", "-q", "-b", "main"]).await?;
    for (number, text) in ["one\n", "one\ntwo\n"].iter().enumerate() {
        write(text)?;
        git(folder.path(), &["add", "notes.txt"]).await?;
        git(folder.path(), &["commit", "-q", "-m", &format!("Commit {number} with ä")]).await?;
    }
    write("one\ntwo\nthree\n")?;
    Ok(folder)
}

async fn git(folder: &Path, arguments: &[&str]) -> Result<()> {
    let mut command = tokio::process::Command::new("git");
    command.args(arguments).current_dir(folder).env("HOME", folder).env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Ada").env(format!("GIT_{role}_EMAIL"), "ada@example.org");
        command.env(format!("GIT_{role}_DATE"), "2026-01-02T03:04:05Z");
    }
    process::run(command, std::time::Duration::from_secs(20)).await?.success()?;
    Ok(())
}

pub(crate) async fn compare_git(pair: &mut Pair, folder: &Path) -> Result<()> {
    let path = folder.display().to_string();
    pair.same_lists(&[TOOLS]).await?;
    pair.same_calls(&[
        ("git_status", json!({ "repo_path": path })),
        ("git_log", json!({ "repo_path": path, "max_count": 5 })),
        ("git_diff_unstaged", json!({ "repo_path": path })),
        ("git_show", json!({ "repo_path": path, "revision": "HEAD~1" })),
        ("git_branch", json!({ "repo_path": path, "branch_type": "local" })),
        ("git_diff", json!({ "repo_path": path, "target": "nothing-like-that" })),
        ("git_log", json!({ "repo_path": "/nowhere" })),
    ])
    .await
}

async fn git_is_unchanged(test: &str, era: Era) -> Result<()> {
    let Some(packages) = Packages::or_skip(test)? else { return Ok(()) };
    let folder = repository().await?;
    let line =
        packages.stdio_server(StdioServer::Git, &["--repository", &folder.path().display().to_string()]);
    let mut pair = Pair::stdio(&line, Default::default(), era).await?;
    compare_git(&mut pair, folder.path()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn git_is_unchanged_in_the_legacy_era() -> Result<()> {
    git_is_unchanged("git_is_unchanged_in_the_legacy_era", Era::Legacy).await
}

#[tokio::test(flavor = "multi_thread")]
async fn git_is_unchanged_in_the_modern_era() -> Result<()> {
    git_is_unchanged("git_is_unchanged_in_the_modern_era", Era::Modern).await
}

/// Lists over several pages, streamed answers, and fields that no
/// specification knows.
async fn scripted_is_unchanged(era: Era) -> Result<()> {
    let server = ScriptedServer::start(Script::new("vendor", 25).page(10).streams()).await?;
    let endpoint = Endpoint::new(&server.url);
    let direct = match era {
        Era::Legacy => Connection::Legacy(LegacyClient::connect(endpoint).await?),
        Era::Modern => Connection::Modern(ModernClient::new(endpoint)),
    };
    let mut pair = Pair::new(direct, &format!("url: {:?}", server.url), era).await?;
    pair.same_lists(&[TOOLS]).await?;
    pair.same_calls(&[("tool_000", json!({ "text": "a" })), ("tool_024", json!({ "text": "\u{7f}b" }))])
        .await?;
    let version = if era == Era::Modern { MODERN } else { LEGACY };
    let asked = server.received();
    let latest = asked.last().context("nothing reached the server")?;
    assert_eq!(latest.headers["mcp-protocol-version"], version, "the pinned era is spoken to the server");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn vendor_fields_are_unchanged_in_the_legacy_era() -> Result<()> {
    scripted_is_unchanged(Era::Legacy).await
}

#[tokio::test(flavor = "multi_thread")]
async fn vendor_fields_are_unchanged_in_the_modern_era() -> Result<()> {
    scripted_is_unchanged(Era::Modern).await
}

/// The comparisons find nothing to complain about between two direct
/// connections, and something when one answer differs: they would notice.
#[tokio::test(flavor = "multi_thread")]
async fn the_comparison_notices_a_difference() -> Result<()> {
    let one = ScriptedServer::start(Script::new("one", 3)).await?;
    let other = ScriptedServer::start(Script::new("other", 3)).await?;
    let connect = async |server: &ScriptedServer| -> Result<Connection> {
        Ok(Connection::Legacy(LegacyClient::connect(Endpoint::new(&server.url)).await?))
    };
    let mut same = Pair { direct: connect(&one).await?, through: connect(&one).await?, hub: None };
    same.same_lists(&[TOOLS]).await?;
    let mut different = Pair { direct: connect(&one).await?, through: connect(&other).await?, hub: None };
    let compared = tokio::spawn(async move { different.same_lists(&[TOOLS]).await });
    assert!(compared.await.is_err_and(|failure| failure.is_panic()));
    Ok(())
}
