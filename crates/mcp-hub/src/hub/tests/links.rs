//! A URI that two servers of a profile have, followed from a tool's result.

use super::*;
use crate::downstream::answer::Answer;
use crate::method::dispatch;

const RESULT: &str = r#"{"content":[{"type":"resource_link","uri":"demo://x","name":"x"}]}"#;

/// A server whose tool links to its resource.
async fn server() -> Scripted {
    Scripted::start(|asked| {
        scripted::legacy(asked, |asked| match asked.what() {
            "tools/list" => scripted::result(asked, r#"{"tools":[{"name":"find"}]}"#),
            "resources/list" => scripted::result(asked, r#"{"resources":[{"uri":"demo://x","name":"x"}]}"#),
            "tools/call" => scripted::result(asked, RESULT),
            _ => scripted::result(asked, r#"{"contents":[]}"#),
        })
    })
    .await
}

async fn ask(bench: &Bench, method: &str, params: &str) -> String {
    match dispatch(bench.request(&caller(1), method, params)).await {
        Answer::Message { body, .. } => String::from_utf8(body.joined().to_vec()).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_link_in_a_result_leads_to_the_server_that_gave_it() {
    let (mut one, mut other) = (server().await, server().await);
    let bench = Bench::new(vec![at_url("one", &one.url), at_url("other", &other.url)]).await;
    let listed = ask(&bench, "resources/list", "{}").await;
    assert!(listed.contains(r#""demo://x""#) && listed.contains(r#""trunkline://other/demo://x""#));

    let from_one = ask(&bench, "tools/call", r#"{"name":"one__find"}"#).await;
    assert!(from_one.ends_with(&format!("{RESULT}}}")), "{from_one}");
    let from_other = ask(&bench, "tools/call", r#"{"name":"other__find"}"#).await;
    let shown = RESULT.replace("demo://x", "trunkline://other/demo://x");
    assert!(from_other.ends_with(&format!("{shown}}}")), "{from_other}");

    ask(&bench, "resources/read", r#"{"uri":"demo://x"}"#).await;
    assert_eq!(one.next("resources/read").await.body["params"]["uri"], "demo://x");
    ask(&bench, "resources/read", r#"{"uri":"trunkline://other/demo://x"}"#).await;
    assert_eq!(other.next("resources/read").await.body["params"]["uri"], "demo://x");
    assert!(!one.so_far().contains(&"resources/read".to_owned()));
}

#[tokio::test]
async fn a_profile_of_one_server_gives_results_as_they_came() {
    let one = server().await;
    let bench = Bench::new(vec![at_url("one", &one.url)]).await;
    ask(&bench, "resources/list", "{}").await;
    let answer = ask(&bench, "tools/call", r#"{"name":"one__find"}"#).await;
    assert!(answer.ends_with(&format!("{RESULT}}}")), "{answer}");
}
