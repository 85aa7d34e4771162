//! Clients whose id is the URL of a document.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use axum::Router;
use axum::routing::get;
use serde_json::json;

use super::stage::{CALLBACK, Stage};

/// A site with documents of clients; counts how often it is asked.
struct Site {
    base: String,
    asked: Arc<AtomicUsize>,
}

async fn site() -> Result<Site> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let base = format!("http://{}", listener.local_addr()?);
    let asked = Arc::new(AtomicUsize::new(0));
    let document =
        |id: String| json!({ "client_id": id, "client_name": "Claude", "redirect_uris": [CALLBACK] });
    let answer = |body: String, kind: &'static str| {
        let count = Arc::clone(&asked);
        get(move || {
            count.fetch_add(1, Ordering::SeqCst);
            std::future::ready(([("content-type", kind)], body))
        })
    };
    let good = document(format!("{base}/good.json")).to_string();
    let app = Router::new()
        .route("/good.json", answer(good.clone(), "application/json"))
        .route("/other.json", answer(good.clone(), "application/json"))
        .route("/html.json", answer(document(format!("{base}/html.json")).to_string(), "text/html"))
        .route("/large.json", answer("x".repeat(300 * 1024), "application/json"))
        .route("/away.json", get(async || (http::StatusCode::FOUND, [("location", "/good.json")])));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(Site { base, asked })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_fetched_once_shown_with_its_host_and_asked_about_each_time() -> Result<()> {
    let site = site().await?;
    let mut stage = Stage::with("outbound: { allow: [loopback] }\n").await?;
    let client = format!("{}/good.json", site.base);
    for _ in 0..2 {
        let request = stage.request(&client, "team");
        let page = stage.open(&request).await?;
        assert!(page.body.contains("Claude") && page.body.contains("nobody has verified"), "{}", page.body);
        stage.tokens(&client).await?;
    }
    assert_eq!(site.asked.load(Ordering::SeqCst), 1, "then the copy is used");
    let listed = stage.hub.cli(&["client", "list", "--json"]).await?;
    assert!(listed.contains(&client), "{listed}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_lies_is_large_moves_or_is_no_json_is_no_client() -> Result<()> {
    let site = site().await?;
    let mut stage = Stage::with("outbound: { allow: [loopback] }\n").await?;
    for name in
        ["other.json", "html.json", "large.json", "away.json", "none.json", "good.json?x=1", "./good.json"]
    {
        let request = stage.request(&format!("{}/{name}", site.base), "team");
        let page = stage.open(&request).await?;
        assert_eq!((page.status.as_u16(), page.left_for), (400, None), "{name}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_inside_the_network_is_not_fetched_and_the_trail_says_so() -> Result<()> {
    let site = site().await?;
    let mut stage = Stage::with("").await?;
    for client in [format!("{}/good.json", site.base), "https://169.254.169.254/latest/meta-data".to_owned()]
    {
        let request = stage.request(&client, "team");
        assert_eq!(stage.open(&request).await?.status, 400, "{client}");
    }
    assert_eq!(site.asked.load(Ordering::SeqCst), 0);
    let trail = stage.hub.cli(&["audit", "export"]).await?;
    for inside in [site.base.as_str(), "https://169.254.169.254"] {
        let told = trail.lines().find(|line| line.contains(&format!("\"target\":\"{inside}\"")));
        let told = told.with_context(|| format!("{inside} is not in {trail}"))?;
        assert!(told.contains("\"outbound\"") && told.contains("address_not_open"), "{told}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pinned_document_is_used_although_nothing_is_fetched() -> Result<()> {
    let client = "https://claude.ai/oauth/claude-code-client-metadata";
    let folder = tempfile::tempdir()?;
    let copy = folder.path().join("copy.json");
    let document = json!({ "client_id": client, "client_name": "Claude Code", "redirect_uris": [CALLBACK] });
    std::fs::write(&copy, document.to_string())?;
    let mut stage = Stage::with(&format!(
        "authorization: {{ client_documents: false, pinned_documents: {{ {client:?}: {copy:?} }} }}\n"
    ))
    .await?;
    let page = stage.open(&stage.request(client, "team")).await?;
    assert!(page.body.contains("from <strong>claude.ai</strong>"), "{}", page.body);
    stage.tokens(client).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_can_be_reached_the_next_client_is_told_to_register() -> Result<()> {
    let mut stage = Stage::with("outbound: { allow: [loopback] }\n").await?;
    let place = "/.well-known/oauth-authorization-server";
    let before = stage.at(place).get(&[]).await?.json()?;
    assert_eq!(before["client_id_metadata_document_supported"], true, "nothing speaks against it");
    let nowhere = format!("http://127.0.0.1:{}/client.json", trunkline_tests::http::free_port().await?);
    let page = stage.open(&stage.request(&nowhere, "team")).await?;
    assert_eq!(page.status.as_u16(), 400, "{}", page.body);
    let after = stage.at(place).get(&[]).await?.json()?;
    assert_eq!(after["client_id_metadata_document_supported"], false);
    Ok(())
}
