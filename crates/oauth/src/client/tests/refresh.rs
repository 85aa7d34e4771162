//! Row 24 of the attack list: what ends a grant, and what does not.

use std::sync::Arc;
use std::time::Duration;

use trunkline_model::ConnectionOwner;

use super::authority::{Authority, Fault, LIFE};
use super::{Bench, owner, process, server};
use crate::client::Unusable;

#[tokio::test]
async fn a_token_is_refreshed_before_its_end_and_stored_before_it_is_used() {
    let bench = Bench::new().await;
    bench.connect().await.unwrap();
    let first = bench.token().await.unwrap();
    bench.clock.advance(LIFE / 2);
    bench.connections.refresh_due().await;
    assert_eq!(bench.token().await.unwrap(), first, "not yet");
    bench.clock.advance(LIFE / 10 * 3);
    bench.connections.refresh_due().await;
    let second = bench.token().await.unwrap();
    assert_ne!(second, first);
    assert!(bench.authority.takes(&second));
    let other = process(&bench.store, &bench.clock, &bench.authority, 9).await;
    let stored = other.held(&server(), &owner()).now.load().sendable().unwrap().0;
    assert_eq!(stored.to_str().unwrap(), second, "another process reads it");
}

#[tokio::test]
async fn many_who_need_a_token_make_one_refresh() {
    let bench = Bench::new().await;
    bench.connect().await.unwrap();
    let other = process(&bench.store, &bench.clock, &bench.authority, 9).await;
    bench.clock.advance(LIFE);
    let credential = bench.credential();
    let mut there = bench.credential();
    there.held = other.held(&server(), &owner());
    there.connections = Arc::clone(&other);
    let asks: Vec<_> = (0..8).map(|_| credential.obtain()).chain((0..8).map(|_| there.obtain())).collect();
    let mut tokens = Vec::new();
    for ask in asks {
        tokens.push(ask.await.unwrap().0);
    }
    tokens.dedup();
    assert_eq!(tokens.len(), 1, "{tokens:?}");
    assert_eq!(bench.authority.script().refreshes, 1, "in both processes together");
}

#[tokio::test]
async fn what_says_nothing_about_the_grant_keeps_it() {
    for fault in [
        Fault::Answer(500, "{}"),
        Fault::Answer(503, "<html>invalid_grant</html>"),
        Fault::Answer(429, r#"{"error":"invalid_grant"}"#),
        Fault::Answer(200, "<html>"),
        Fault::Unreachable,
        Fault::TimedOut,
    ] {
        let bench = Bench::new().await;
        bench.connect().await.unwrap();
        let first = bench.token().await.unwrap();
        bench.clock.advance(LIFE / 10 * 8);
        bench.authority.script().faults.push_back(fault.clone());
        bench.connections.refresh_due().await;
        assert_eq!(bench.state(), "unreachable", "{fault:?}");
        assert_eq!(bench.token().await.unwrap(), first, "still good: {fault:?}");
        bench.connections.refresh_due().await;
        assert!(bench.authority.script().refreshes == 0, "it waits before it tries again: {fault:?}");
        bench.clock.advance(Duration::from_secs(10));
        bench.connections.refresh_due().await;
        assert_eq!(bench.state(), "connected", "{fault:?}: {}", bench.reason());
        assert_ne!(bench.token().await.unwrap(), first);
    }
}

#[tokio::test]
async fn only_invalid_grant_asks_somebody_to_consent_again() {
    let bench = Bench::new().await;
    bench.connect().await.unwrap();
    bench.authority.withdraw();
    bench.clock.advance(LIFE / 10 * 8);
    bench.connections.refresh_due().await;
    assert_eq!(bench.state(), "needs_consent");
    let error = bench.token().await.unwrap_err();
    assert!(
        matches!(&error, Unusable::NeedsConsent { reason } if reason.contains("invalid_grant")),
        "{error}"
    );
    bench.connect().await.unwrap();
    assert_eq!(bench.state(), "connected");
}

#[tokio::test]
async fn a_client_that_is_not_known_any_more_is_registered_anew_by_the_next_consent() {
    let bench = Bench::new().await;
    bench.connect().await.unwrap();
    bench.authority.script().faults.push_back(Fault::Answer(401, r#"{"error":"invalid_client"}"#));
    bench.clock.advance(LIFE / 10 * 8);
    bench.connections.refresh_due().await;
    assert_eq!(bench.state(), "refused");
    assert!(bench.token().await.is_ok(), "the token that there is goes on");
    bench.connect().await.unwrap();
    assert_eq!(bench.authority.script().registrations, 2);
    bench.connect().await.unwrap();
    assert_eq!(bench.authority.script().registrations, 2, "and kept");
}

#[tokio::test]
async fn a_storm_of_401_makes_one_refresh() {
    let bench = Bench::new().await;
    bench.connect().await.unwrap();
    bench.clock.advance(Duration::from_mins(1));
    let credential = bench.credential();
    let (_, version) = credential.header().unwrap();
    for _ in 0..20 {
        let newer = credential.after_refusal(version, None).await.unwrap();
        assert!(newer.1 > version);
    }
    assert_eq!(bench.authority.script().refreshes, 1);
    // The new token is refused as well: that is not mended by a third.
    let (_, version) = credential.header().unwrap();
    for _ in 0..20 {
        assert!(credential.after_refusal(version, None).await.is_err());
    }
    assert_eq!(bench.authority.script().refreshes, 1);
    assert_eq!(bench.state(), "refused");
    assert!(credential.header().is_some(), "it is kept and tried again");
}

#[tokio::test]
async fn a_restart_in_the_middle_of_a_refresh_is_survived() {
    let mut bench = Bench::new().await;
    bench.authority.script().grace = true;
    bench.connect().await.unwrap();
    bench.clock.advance(LIFE / 10 * 8);
    bench.authority.script().faults.push_back(Fault::Lost);
    bench.connections.refresh_due().await;
    bench.restart().await;
    bench.clock.advance(Duration::from_mins(2));
    bench.connections.refresh_due().await;
    assert_eq!(bench.state(), "connected", "{}", bench.reason());
    let token = bench.token().await.unwrap();
    assert!(bench.authority.takes(&token), "{token}");
}

#[tokio::test]
async fn an_answer_lost_for_good_is_told_apart_from_a_withdrawn_grant() {
    let bench = Bench::new().await;
    bench.connect().await.unwrap();
    let first = bench.token().await.unwrap();
    bench.clock.advance(LIFE / 10 * 8);
    bench.authority.script().faults.push_back(Fault::Lost);
    bench.connections.refresh_due().await;
    bench.clock.advance(Duration::from_secs(10));
    bench.connections.refresh_due().await;
    assert_eq!(bench.state(), "needs_consent");
    assert!(bench.reason().contains("was lost"), "{}", bench.reason());
    assert_eq!(bench.token().await.unwrap(), first, "until its end");
    bench.clock.advance(LIFE);
    assert!(bench.token().await.is_err());
}

#[tokio::test]
async fn a_lack_of_scope_asks_for_both_at_the_next_consent() {
    let bench = Bench::new().await;
    bench.authority.script().resource["scopes_supported"] = serde_json::json!(["read"]);
    bench.connect().await.unwrap();
    let challenge = r#"Bearer error="insufficient_scope", scope="read write""#;
    let challenge = crate::client::Challenge::parse(challenge).unwrap();
    let error = bench.credential().after_lack_of_scope(&challenge).await;
    assert!(error.to_string().contains("read write"), "{error}");
    assert_eq!(bench.state(), "needs_consent");
    assert!(bench.token().await.is_ok(), "what it was enough for goes on");
    let begun = bench.begin().await.unwrap();
    assert!(begun.authorization_url.contains("scope=read+write"), "{}", begun.authorization_url);
    let returned = Authority::consent(&begun.authorization_url);
    bench.complete(&begun, returned).await.unwrap();
    assert_eq!(bench.state(), "connected");
}

#[tokio::test]
async fn a_token_does_not_follow_its_name_to_another_address_or_owner() {
    let bench = Bench::new().await;
    bench.connect().await.unwrap();
    bench.connections.configure(&[super::spec("https://evil.example/mcp", super::per_user())]);
    let error = bench.token().await.unwrap_err();
    assert!(error.to_string().contains("address has changed"), "{error}");
    bench.connections.configure(&[super::spec(super::SERVER, super::per_user())]);
    assert!(bench.token().await.is_ok());

    // Sealed for one owner, a row does not open for another.
    let mut row = bench.store.connections().find(&server(), &owner()).await.unwrap().unwrap();
    row.owner = ConnectionOwner::named("usr_bob");
    bench.store.connections().put(&row).await.unwrap();
    bench.connections.catch_up().await.unwrap();
    let bob = bench.connections.held(&server(), &row.owner);
    assert!(bob.now.load().sendable().is_none());
}

#[tokio::test]
async fn what_another_process_has_just_connected_is_found_by_the_call_that_needs_it() {
    let bench = Bench::new().await;
    let other = process(&bench.store, &bench.clock, &bench.authority, 9).await;
    let mut there = bench.credential();
    there.held = other.held(&server(), &owner());
    there.connections = Arc::clone(&other);
    assert!(there.obtain().await.is_err());
    bench.connect().await.unwrap();
    assert_eq!(there.obtain().await.unwrap().0.to_str().unwrap(), bench.token().await.unwrap());
}
