//! Rows 20 to 22 of the attack list: what metadata lies about is refused, and
//! nothing of it is opened.

use serde_json::json;

use super::{Bench, FlowError};
use crate::client::DiscoveryError;

async fn refused(bench: &Bench) -> String {
    match bench.begin().await {
        Ok(begun) => panic!("the browser would be sent to {}", begun.authorization_url),
        Err(error) => {
            let script = bench.authority.script();
            assert_eq!(script.registrations, 0, "nobody is told of the hub: {error}");
            error.to_string()
        }
    }
}

#[tokio::test]
async fn metadata_of_another_issuer_or_resource_is_refused() {
    let bench = Bench::new().await;
    bench.authority.script().metadata = json!({ "issuer": "https://evil.example" });
    assert!(refused(&bench).await.contains("evil.example"));
    bench.authority.script().metadata = json!({});
    bench.authority.script().resource = json!({ "resource": "https://other.example/mcp" });
    assert!(refused(&bench).await.contains("does not cover"));
    bench.authority.script().resource = json!({ "authorization_servers": [] });
    assert!(refused(&bench).await.contains("no authorization server"));
}

#[tokio::test]
async fn endpoints_that_are_no_https_address_are_refused() {
    for endpoint in
        ["authorization_endpoint", "token_endpoint", "registration_endpoint", "revocation_endpoint"]
    {
        for lie in [
            "http://as.example/x",
            "http://127.0.0.1/x",
            "http://169.254.169.254/latest/meta-data/",
            "file:///etc/passwd",
            "javascript:alert(1)",
            "--proxy-command=x",
            "https://user:pw@as.example/x",
        ] {
            let bench = Bench::new().await;
            bench.authority.script().metadata = json!({ endpoint: lie });
            let words = refused(&bench).await;
            assert!(words.contains("is not") || words.contains("user information"), "{lie}: {words}");
        }
    }
}

#[tokio::test]
async fn an_authorization_server_without_pkce_is_refused() {
    let bench = Bench::new().await;
    for methods in [json!(["plain"]), json!([]), json!(null)] {
        bench.authority.script().metadata = json!({ "code_challenge_methods_supported": methods });
        assert!(matches!(bench.begin().await, Err(FlowError::Unfit(_))));
    }
}

#[tokio::test]
async fn a_page_a_redirect_or_nothing_in_place_of_metadata_is_not_believed() {
    for (status, body) in [(200, "<html>sign in</html>"), (302, ""), (200, "[]"), (200, "{}")] {
        let bench = Bench::new().await;
        bench.authority.script().document = Some((status, body.to_owned()));
        // Without a document the server's origin is asked, which has none either: it takes no registration.
        assert!(bench.begin().await.is_err(), "{status} {body}");
    }
    let bench = Bench::new().await;
    bench.authority.script().document = Some((503, String::new()));
    let error = bench.begin().await.unwrap_err();
    assert!(matches!(error, FlowError::Discovery(DiscoveryError::Failing { .. })), "{error}");
}
