//! Credentials that are not one good key in one header.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use trunkline_tests::raw::RawRequest;

use super::stage::{Refusal, Row, Stage, unread};

const MISSING: Refusal = unread(
    401,
    -32600,
    "No credential. Send an API key as 'Authorization: Bearer tlk_...' or 'x-api-key: tlk_...'.",
);
const MALFORMED: Refusal =
    unread(401, -32600, "This is not an API key of a Trunkline hub, or not a whole one. Copy it again.");
const SEVERAL: Refusal = unread(400, -32600, "More than one credential. Send one API key, in one header.");
const UNKNOWN: Refusal = unread(
    401,
    -32600,
    "This hub does not know this API key. Check the hub's address, or create a key with 'trunkline key create'.",
);

fn row(name: impl Into<String>, request: RawRequest, refusal: Refusal) -> Row {
    Row { name: name.into(), request, refusal }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_one_good_key_opens_nothing() -> Result<()> {
    let stage = Stage::set().await?;
    let key = stage.key.clone();
    for scheme in ["Bearer ", "bearer ", "BEARER  "] {
        stage.accepts(&stage.call().set("Authorization", format!("{scheme}{key}"))).await?;
    }
    stage.accepts(&stage.call().without("Authorization").with("X-Api-Key", &key)).await?;
    let rows = vec![
        row("none", stage.call().without("Authorization"), MISSING),
        row(
            "in a cookie",
            stage.call().without("Authorization").with("Cookie", format!("key={key}")),
            MISSING,
        ),
        row(
            "in the query",
            stage
                .call()
                .without("Authorization")
                .aimed("POST", &format!("/mcp/red?api_key={key}&access_token={key}")),
            MISSING,
        ),
        row(
            "for a proxy",
            stage.call().without("Authorization").with("Proxy-Authorization", format!("Bearer {key}")),
            MISSING,
        ),
        row("twice", stage.call().with("Authorization", format!("Bearer {key}")), SEVERAL),
        row("two keys", stage.call().with("Authorization", format!("Bearer {}", stage.other_key)), SEVERAL),
        row("another in x-api-key", stage.call().with("X-Api-Key", &stage.other_key), SEVERAL),
        row(
            "two in x-api-key",
            stage.call().without("Authorization").with("X-Api-Key", &key).with("x-api-key", &stage.other_key),
            SEVERAL,
        ),
    ];
    stage.refuses(rows).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_almost_a_key_opens_nothing() -> Result<()> {
    let stage = Stage::set().await?;
    let key = stage.key.clone();
    let malformed = [
        String::new(),
        "Bearer".to_owned(),
        "Bearer ".to_owned(),
        key.clone(),
        format!("Basic {key}"),
        format!("Bearer\t{key}"),
        format!("Bearer {}", &key[..key.len() - 1]),
        format!("Bearer {key}x"),
        format!("Bearer {}", key.to_lowercase()),
        format!("Bearer {key}, Bearer {key}"),
        format!("Bearer {key} {key}"),
        format!("Bearer tlk_{}", "0".repeat(49)),
        format!("Bearer {}", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."),
        format!("Bearer {}", "a".repeat(20_000)),
        "Bearer ' OR 1=1 --".to_owned(),
    ];
    let row_of = |value: String| row(value.clone(), stage.call().set("Authorization", value), MALFORMED);
    let mut rows: Vec<Row> = malformed.into_iter().map(row_of).collect();
    rows.push(row("Latin-1", stage.call().set("Authorization", b"Bearer \xe9"), MALFORMED));
    stage.refuses(rows).await
}

/// A key of another hub is whole, and unknown here.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_of_another_hub_opens_nothing() -> Result<()> {
    let (stage, elsewhere) = (Stage::set().await?, Stage::set().await?);
    let request = stage.call().set("Authorization", format!("Bearer {}", elsewhere.key));
    stage.refuses(vec![row("a foreign key", request, UNKNOWN)]).await
}

/// Revoked by another process, a key is dead within a second: for calls, for
/// new sessions, and for a session that it began.
#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_dead_within_a_second() -> Result<()> {
    let stage = Stage::set().await?;
    let listed = stage.hub.cli(&["key", "list", "--json"]).await?;
    let listed: serde_json::Value = serde_json::from_str(&listed)?;
    let keys = listed.as_array().or_else(|| listed["keys"].as_array()).context("no keys")?;
    let own = keys.iter().find(|key| key["profile"] == "red").and_then(|key| key["id"].as_str());
    let id = own.context("no key of red")?.to_owned();
    stage.accepts(&stage.call()).await?;
    stage.hub.cli(&["key", "revoke", &id]).await?;
    let revoked_at = Instant::now();
    while stage.send(&stage.call()).await?.status == 200 {
        assert!(revoked_at.elapsed() < Duration::from_secs(1), "still good after a second");
        tokio::task::yield_now().await;
    }
    let revoked =
        unread(401, -32600, "This API key has been revoked. Create a new one with 'trunkline key create'.");
    let at = |method: &str, target: &str| stage.call().aimed(method, target);
    stage
        .refuses(vec![
            row("a call in its session", stage.call(), revoked),
            row("its stream", at("GET", "/mcp/red"), revoked),
            row("the end of its session", at("DELETE", "/mcp/red"), revoked),
            row("an old stream", at("GET", "/mcp/red/sse"), revoked),
            row("where no key is needed", at("POST", "/mcp/open"), revoked),
        ])
        .await
}
