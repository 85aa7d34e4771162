//! Clients that are pages in a browser, such as the Inspector's.

use anyhow::Result;
use http::Method;
use serde_json::json;

use super::stage::{CALLBACK, Stage};

const INSPECTOR: (&str, &str) = ("origin", "http://localhost:6274");

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_this_machine_finds_registers_and_reads_what_it_needs() -> Result<()> {
    let stage = Stage::start().await?;
    for path in [
        "/mcp/team",
        "/.well-known/oauth-protected-resource/mcp/team",
        "/.well-known/oauth-authorization-server",
        "/oauth/register",
        "/oauth/token",
    ] {
        let asks = [
            INSPECTOR,
            ("access-control-request-method", "POST"),
            ("access-control-request-headers", "authorization,content-type,mcp-protocol-version"),
        ];
        let answer = stage.at(path).send(Method::OPTIONS, String::new(), &asks).await?.whole().await?;
        let answer = answer.expect_status(204)?;
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
        assert!(
            answer.header("access-control-allow-headers").is_some_and(|list| list.contains("authorization"))
        );
    }
    let refused = stage.at("/mcp/team").post("{}".to_owned(), &[INSPECTOR]).await?.expect_status(401)?;
    assert_eq!(refused.header("access-control-allow-origin"), Some("*"));
    let exposed = refused.header("access-control-expose-headers").unwrap_or_default();
    assert!(exposed.contains("WWW-Authenticate") && exposed.contains("Mcp-Session-Id"), "{exposed}");
    let client = json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none" }).to_string();
    let registered = stage.at("/oauth/register").post(client, &[INSPECTOR]).await?.expect_status(201)?;
    assert_eq!(registered.header("access-control-allow-origin"), Some("*"));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_another_site_and_one_that_brings_a_cookie_read_nothing() -> Result<()> {
    let stage = Stage::start().await?;
    let asks = [("origin", "https://evil.example"), ("access-control-request-method", "POST")];
    for path in ["/mcp/team", "/oauth/token", "/oauth/register", "/.well-known/oauth-authorization-server"] {
        let answer = stage.at(path).send(Method::OPTIONS, String::new(), &asks).await?.whole().await?;
        let answer = answer.expect_status(403)?;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
    }
    for path in ["/oauth/authorize", "/device", "/login", "/account", "/api/v1/hub"] {
        let answer = stage.at(path).get(&[INSPECTOR]).await?;
        assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
    }
    Ok(())
}
