//! Row 25 of the attack list, and what surrounds a consent.

use std::time::Duration;

use super::authority::{Authority, Fault, LIFE};
use super::{ANN, Bench, FlowError, Returned, owner, server};

#[tokio::test]
async fn a_consent_gives_the_token_that_requests_carry() {
    let bench = Bench::new().await;
    assert_eq!(bench.token().await.unwrap_err().to_string(), "nobody has connected it yet");
    bench.connect().await.unwrap();
    let token = bench.token().await.unwrap();
    assert!(bench.authority.takes(&token), "{token}");
    assert_eq!(bench.state(), "connected");
    let upstream = bench.connections.upstream(&server()).unwrap();
    assert!(upstream.needs_person());
}

#[tokio::test]
async fn a_consent_counts_once_in_time_and_in_the_browser_that_began_it() {
    let bench = Bench::new().await;
    let begun = bench.begin().await.unwrap();
    let returned = Authority::consent(&begun.authorization_url);
    let unknown = Returned { state: "guessed".to_owned(), ..returned.clone() };
    assert!(matches!(bench.complete(&begun, unknown).await, Err(FlowError::Unknown)));

    let other_browser = bench.connections.complete(returned.clone(), |_| None, Some(ANN)).await;
    assert!(matches!(other_browser, Err(FlowError::Foreign)));
    let again = bench.complete(&begun, returned).await;
    assert!(matches!(again, Err(FlowError::Unknown)), "what was tried is used up");

    let begun = bench.begin().await.unwrap();
    let returned = Authority::consent(&begun.authorization_url);
    bench.clock.advance(Duration::from_mins(10));
    assert!(matches!(bench.complete(&begun, returned).await, Err(FlowError::Unknown)), "too late");
    assert!(bench.token().await.is_err());
}

#[tokio::test]
async fn a_callback_swapped_between_people_connects_nobody() {
    let bench = Bench::new().await;
    let begun = bench.begin().await.unwrap();
    let (name, value) = begun.cookie.clone();
    for person in [Some("usr_bob"), None] {
        let begun_again = bench.begin().await.unwrap();
        let returned = Authority::consent(&begun_again.authorization_url);
        let (own_name, own_value) = begun_again.cookie.clone();
        let cookie = move |asked: &str| (asked == own_name).then(|| own_value.clone());
        let swapped = bench.connections.complete(returned, cookie, person).await;
        assert!(matches!(swapped, Err(FlowError::Foreign)), "{person:?}");
    }
    // Another consent's cookie does not do.
    let third = bench.begin().await.unwrap();
    let returned = Authority::consent(&third.authorization_url);
    let swapped =
        bench.connections.complete(returned, |asked| (asked == name).then(|| value.clone()), Some(ANN)).await;
    assert!(matches!(swapped, Err(FlowError::Foreign)));
    assert!(bench.connections.list().is_empty());
}

#[tokio::test]
async fn an_answer_of_another_issuer_is_not_redeemed() {
    let bench = Bench::new().await;
    for iss in [Some("https://evil.example"), Some("https://as.example/"), Some(""), None] {
        let begun = bench.begin().await.unwrap();
        let returned = Authority::consent(&begun.authorization_url);
        let before = bench.authority.script().asked.len();
        let returned = Returned { iss: iss.map(str::to_owned), ..returned };
        assert!(matches!(bench.complete(&begun, returned).await, Err(FlowError::OtherIssuer)), "{iss:?}");
        assert_eq!(bench.authority.script().asked.len(), before, "nobody was asked");
    }
}

#[tokio::test]
async fn an_error_is_told_and_ends_nothing_that_there_was() {
    let bench = Bench::new().await;
    bench.connect().await.unwrap();
    let begun = bench.begin().await.unwrap();
    let returned = Returned {
        error: Some("access_denied".to_owned()),
        code: None,
        ..Authority::consent(&begun.authorization_url)
    };
    let error = bench.complete(&begun, returned).await.unwrap_err();
    assert!(error.to_string().contains("access_denied"), "{error}");
    assert!(bench.token().await.is_ok());
}

#[tokio::test]
async fn a_link_of_an_operator_is_good_once_for_its_server_and_owner() {
    let bench = Bench::new().await;
    let link = bench.connections.invite(&server(), owner()).await.unwrap();
    let ticket = link.split_once("?ticket=").unwrap().1;
    assert!(link.starts_with("https://hub.example/connections/tracker/connect?"), "{link}");
    assert_eq!(bench.connections.take_invitation(&server(), ticket).await.unwrap(), owner());
    assert!(bench.connections.take_invitation(&server(), ticket).await.is_err(), "once");
}

#[tokio::test]
async fn a_consent_anew_revokes_what_another_client_had_and_leaves_what_the_same_one_has() {
    let bench = Bench::new().await;
    let tasks = trunkline_web::Tasks::new();
    bench.connections.tasks.set(tasks.clone()).unwrap();
    bench.connect().await.unwrap();
    bench.connect().await.unwrap();
    assert_eq!(tasks.count(), 0, "one grant may carry both");

    bench.authority.script().faults.push_back(Fault::Answer(401, r#"{"error":"invalid_client"}"#));
    bench.clock.advance(LIFE / 10 * 8);
    bench.connections.refresh_due().await;
    bench.connect().await.unwrap();
    while bench.authority.script().revoked.len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.authority.script().revoked, ["refresh-2", "access-2"]);
    assert!(bench.authority.takes(&bench.token().await.unwrap()));
}
