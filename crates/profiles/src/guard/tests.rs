use std::time::Duration;

use trunkline_model::{Effect, Sizes};

use super::*;
use crate::fixture::{Fixture, NOON, asked, caller_of, engineering, principal, server};

#[tokio::test]
async fn an_admitted_call_is_in_the_trail_once_it_is_settled() {
    let fixture = Fixture::new().await;
    let profile = engineering();
    let asked = asked(Kind::Tool, "files", "read_file");
    let permit = fixture.guard.admit(&caller_of("engineering"), &profile, asked).unwrap();
    assert_eq!(permit.server(), &server("files"));
    fixture.clock.advance(Duration::from_millis(3));
    permit.settle(Outcome::Ok, 22).unwrap();

    let event = fixture.trail().await.remove(0);
    assert_eq!(event.at, NOON);
    assert_eq!(event.profile.as_ref(), Some(profile.name()));
    assert_eq!(event.caller, Some(principal()));
    assert_eq!(event.request_id, Uuid::from_u128(1));
    assert_eq!(event.method, "tools/call");
    assert_eq!(event.server, Some(server("files")));
    assert_eq!(event.target.as_deref(), Some("read_file"));
    assert_eq!(event.shown_as.as_deref(), Some("files__read_file"));
    assert_eq!(event.decision, Decision::allow(Reason::ProfileMember));
    assert_eq!(event.outcome, Outcome::Ok);
    assert_eq!(event.duration_us, 3000);
    assert_eq!(event.sizes, Sizes { request_bytes: 11, response_bytes: 22 });
}

#[tokio::test]
async fn membership_alone_decides() {
    let fixture = Fixture::new().await;
    let profile = engineering();
    let member = caller_of("engineering");
    let admits = |kind, server: &str, target: &str| {
        fixture.guard.admit(&member, &profile, asked(kind, server, target)).is_ok()
    };
    assert!(admits(Kind::Tool, "files", "read_file"));
    assert!(!admits(Kind::Tool, "files", "write_file"));
    assert!(!admits(Kind::Tool, "files", "read_secret"));
    assert!(!admits(Kind::Tool, "shell", "read_file"), "a server that is not selected");
    assert!(admits(Kind::Prompt, "files", "write_file"), "each kind has its own filter");
    assert!(!admits(Kind::Prompt, "files", "secret_plan"));
    assert!(admits(Kind::Resource, "files", "file:///secret"));
    assert!(admits(Kind::Server, "files", "write_file"), "no filter is about a whole server");
    assert!(!admits(Kind::Server, "shell", "read_file"));
    assert!(!admits(Kind::Resource, "shell", "file:///a"));
    assert!(admits(Kind::Prompt, "files", "plan"));

    let admit = |change: fn(&mut Action)| {
        let mut asked = asked(Kind::Tool, "files", "read_file");
        change(&mut asked.action);
        fixture.guard.admit(&member, &profile, asked).is_ok()
    };
    assert!(admit(|_| {}));
    assert!(!admit(|action| action.server = None));
    assert!(!admit(|action| action.target = None));
}

#[tokio::test]
async fn a_refusal_says_why_and_is_in_the_trail() {
    let fixture = Fixture::new().await;
    let profile = engineering();
    for (caller, reason) in
        [(caller_of("engineering"), Reason::NotInProfile), (caller_of("finance"), Reason::OtherProfile)]
    {
        let refusal =
            fixture.guard.admit(&caller, &profile, asked(Kind::Tool, "files", "write_file")).unwrap_err();
        assert_eq!(refusal.decision(), &Decision::deny(reason));
        refusal.record().unwrap();
    }
    let trail = fixture.trail().await;
    assert_eq!(trail.len(), 2);
    assert!(trail.iter().all(|event| event.decision.effect == Effect::Deny));
    assert!(
        matches!(&trail[1].outcome, Outcome::Refused { detail } if detail.contains("another profile")),
        "{trail:?}"
    );
}

#[tokio::test]
async fn what_is_refused_at_the_gate_is_in_the_trail() {
    let fixture = Fixture::new().await;
    let refused = RefusedRequest {
        request_id: Uuid::from_u128(5),
        arrived: NOON,
        profile: None,
        caller: None,
        action: Action { method: "é".repeat(9000), server: None, target: None, shown_as: None },
        decision: Decision::deny(Reason::NotAuthenticated),
        detail: "no credential".into(),
        request_bytes: 0,
    };
    fixture.guard.refuse(refused).unwrap();
    let event = fixture.trail().await.remove(0);
    assert_eq!(event.outcome, Outcome::Refused { detail: "no credential".into() });
    assert_eq!((event.profile, event.caller), (None, None));
    assert!(event.method.len() < 2100, "a caller cannot fill the trail with one request");
}

#[tokio::test]
async fn a_permit_or_refusal_that_is_dropped_is_in_the_trail() {
    let fixture = Fixture::new().await;
    let profile = engineering();
    let caller = caller_of("engineering");
    drop(fixture.guard.admit(&caller, &profile, asked(Kind::Tool, "files", "read_file")).unwrap());
    drop(fixture.guard.admit(&caller, &profile, asked(Kind::Tool, "files", "write_file")).unwrap_err());
    let trail = fixture.trail().await;
    assert_eq!(trail.len(), 2, "{trail:?}");
    assert_eq!(trail[0].outcome, Outcome::Cancelled);
    assert!(matches!(trail[1].outcome, Outcome::Refused { .. }));
}

#[tokio::test]
async fn the_hubs_own_questions_leave_no_event() {
    let fixture = Fixture::new().await;
    let permit = fixture.guard.housekeeping(&server("files"));
    assert_eq!(permit.server(), &server("files"));
    permit.settle(Outcome::Ok, 5).unwrap();
    drop(fixture.guard.housekeeping(&server("files")));
    assert_eq!(fixture.trail().await, []);
}

#[tokio::test]
async fn without_a_trail_no_answer_leaves() {
    let fixture = Fixture::new().await;
    let permit = fixture
        .guard
        .admit(&caller_of("engineering"), &engineering(), asked(Kind::Tool, "files", "read_file"))
        .unwrap();
    std::fs::remove_dir_all(fixture.journal()).unwrap();
    std::fs::write(fixture.journal(), "in its way").unwrap();
    let error = permit.settle(Outcome::Ok, 1).unwrap_err();
    assert!(error.to_string().starts_with("the audit trail cannot be written"), "{error}");
    fixture.audit.close().await;
    let error = fixture
        .guard
        .admit(&caller_of("engineering"), &engineering(), asked(Kind::Tool, "files", "write"))
        .unwrap_err();
    assert!(error.record().is_err());
}
