//! Whatever JSON a client or a server writes survives the way through, in each
//! pairing of eras: numbers that no parser holds, escapes, white space and
//! members that nobody knows. Random, bounded, one hub for each test.

mod echo;
mod json;
mod rmcp;

use anyhow::{Context as _, Result, ensure};
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestRunner};
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use tokio::runtime::Runtime;
use trunkline_tests::http::Endpoint;
use trunkline_tests::hub::TestHub;
use trunkline_tests::mcp_client::LegacyClient;
use trunkline_tests::message::{self, Envelope, MODERN};

use echo::{Echo, Eras};
use json::Case;

/// Exchanges of each pairing.
const CASES: u32 = 96;
/// Entries of the list of each pairing.
const ENTRIES: usize = 120;
const META: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}"#;
/// What the hub puts before the result of a legacy server for a modern client.
const COMPLETE: &str = r#"{"resultType":"complete","#;

/// Runs each case against one hub; the same cases each time.
pub(super) fn check<C: std::fmt::Debug>(
    cases: u32,
    strategy: &impl proptest::strategy::Strategy<Value = C>,
    try_case: impl Fn(&C) -> Result<()>,
) -> Result<()> {
    let config = Config {
        cases,
        max_shrink_iters: 400,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(0x7472_756e_6b6c_696e),
        ..Config::default()
    };
    let run = TestRunner::new(config)
        .run(strategy, |case| try_case(&case).map_err(|error| TestCaseError::fail(format!("{error:#}"))));
    run.map_err(|failed| anyhow::anyhow!("{failed}"))
}

/// The members of an object in their order, names and values as they are
/// written.
pub(super) fn members(object: &str) -> Result<Vec<(String, String)>> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(String, String)>;
        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            formatter.write_str("an object")
        }
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some((key, value)) = map.next_entry::<&'de RawValue, &'de RawValue>()? {
                members.push((key.get().trim_matches('"').to_owned(), value.get().to_owned()));
            }
            Ok(members)
        }
    }
    let read = serde_json::Deserializer::from_str(object).deserialize_map(Members);
    read.with_context(|| format!("not an object: {object}"))
}

/// What is not said by one hop of itself.
fn passing(members: Vec<(String, String)>) -> Vec<(String, String)> {
    let of_hop = |key: &str| key.starts_with("io.modelcontextprotocol/") || key == "progressToken";
    members.into_iter().filter(|(key, _)| !of_hop(key)).collect()
}

/// A client of one era, which sends parameters as they are written.
enum Client {
    Legacy(LegacyClient),
    Modern(Endpoint),
}

impl Client {
    async fn call(&self, params: &str) -> Result<Envelope> {
        let body = message::request("1", "tools/call", params);
        let response = match self {
            Self::Legacy(client) => client.post(body).await?,
            Self::Modern(endpoint) => {
                let headers =
                    [("mcp-protocol-version", MODERN), ("mcp-method", "tools/call"), ("mcp-name", "echo")];
                endpoint.post(body, &headers).await?
            }
        };
        let messages = response.messages()?;
        let answer = messages.last().with_context(|| format!("{}: no answer", response.status))?;
        Envelope::parse(answer)
    }

    async fn list(&self) -> Result<String> {
        let response = match self {
            Self::Legacy(client) => client.post(message::request("1", "tools/list", "{}")).await?,
            Self::Modern(endpoint) => {
                let params = format!(r#"{{"_meta":{{{META}}}}}"#);
                let headers = [("mcp-protocol-version", MODERN), ("mcp-method", "tools/list")];
                endpoint.post(message::request("1", "tools/list", &params), &headers).await?
            }
        };
        let messages = response.messages()?;
        let envelope = Envelope::parse(messages.last().context("no answer")?)?;
        Ok(envelope.result.with_context(|| format!("{:?}", envelope.error))?.get().to_owned())
    }
}

struct Pairing {
    runtime: Runtime,
    server: Echo,
    hub: TestHub,
    client: Client,
    modern_client: bool,
    eras: Eras,
}

impl Pairing {
    fn start(modern_client: bool, eras: Eras, entries: Vec<String>) -> Result<Self> {
        let runtime = Runtime::new()?;
        let (server, hub, client) = runtime.block_on(async {
            let server = Echo::start(eras, entries).await?;
            let hub = TestHub::start(&format!(
                "servers:\n  echo: {{ url: {:?}, era: {} }}\nprofiles:\n  \
                 team: {{ auth: none, servers: {{ echo: {{ prefix: \"\" }} }} }}\n",
                server.url,
                if eras == Eras::Modern { "modern" } else { "legacy" }
            ))
            .await?;
            let endpoint = hub.endpoint("team");
            let client = if modern_client {
                Client::Modern(endpoint)
            } else {
                Client::Legacy(LegacyClient::connect(endpoint).await?)
            };
            anyhow::Ok((server, hub, client))
        })?;
        Ok(Self { runtime, server, hub, client, modern_client, eras })
    }

    /// The parameters as the client writes them.
    fn params(&self, case: &Case) -> String {
        let own = if self.modern_client { META } else { "" };
        case.params(own)
    }

    /// One call: what reached the server and what came back are what was sent.
    fn survives(&self, case: &Case) -> Result<()> {
        let params = self.params(case);
        let answer = self.runtime.block_on(self.client.call(&params))?;
        let received = self.server.last_params().context("nothing reached the server")?;
        self.same_params(&params, &received)?;
        let result = answer.result.with_context(|| format!("{:?} to {params}", answer.error))?;
        ensure!(answer.id.is_some_and(|id| id.get() == "1"), "another id");
        let expected = match (self.modern_client, self.eras) {
            (true, Eras::Legacy) if case.result == "{}" => "{\"resultType\":\"complete\"}".to_owned(),
            (true, Eras::Legacy) => case.result.replacen('{', COMPLETE, 1),
            _ => case.result.clone(),
        };
        ensure!(result.get() == expected, "the result {expected} became {result}");
        Ok(())
    }

    fn same_params(&self, sent: &str, received: &str) -> Result<()> {
        let unchanged = !self.modern_client && self.eras == Eras::Legacy && !sent.contains("\"_meta\"");
        ensure!(!unchanged || sent == received, "{sent} became {received}");
        let (mut sent, mut received) = (members(sent)?, members(received)?);
        let take_meta = |of: &mut Vec<(String, String)>| {
            let at = of.iter().position(|(key, _)| key == "_meta");
            let meta = at.map_or_else(|| "{}".to_owned(), |at| of.remove(at).1);
            members(&meta).map(passing)
        };
        let (sent_meta, received_meta) = (take_meta(&mut sent)?, take_meta(&mut received)?);
        ensure!(sent == received, "{sent:?} became {received:?}");
        ensure!(sent_meta == received_meta, "_meta: {sent_meta:?} became {received_meta:?}");
        Ok(())
    }
}

fn survives(modern_client: bool, eras: Eras) -> Result<()> {
    let entries = json::entries(ENTRIES)?;
    let pairing = Pairing::start(modern_client, eras, entries.clone())?;
    let listed = pairing.runtime.block_on(pairing.client.list())?;
    let tools = members(&listed)?.into_iter().find(|(key, _)| key == "tools").context("no tools")?.1;
    let tools: Vec<Box<RawValue>> = serde_json::from_str(&tools)?;
    let tools: Vec<&str> = tools.iter().map(|tool| tool.get()).collect();
    ensure!(tools.len() == entries.len() + 1, "{} entries: {}", tools.len(), pairing.hub.output());
    for (tool, entry) in tools[1..].iter().zip(&entries) {
        ensure!(tool == entry, "{entry} became {tool}");
    }
    check(CASES, &json::case(), |case| pairing.survives(case)).with_context(|| pairing.hub.output())
}

#[test]
fn any_json_survives_between_legacy_and_legacy() -> Result<()> {
    survives(false, Eras::Legacy)
}

#[test]
fn any_json_survives_between_legacy_and_modern() -> Result<()> {
    survives(false, Eras::Modern)
}

#[test]
fn any_json_survives_between_modern_and_legacy() -> Result<()> {
    survives(true, Eras::Legacy)
}

#[test]
fn any_json_survives_between_modern_and_modern() -> Result<()> {
    survives(true, Eras::Modern)
}
