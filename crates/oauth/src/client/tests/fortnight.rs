//! Two weeks with everything that goes wrong in two weeks.

use std::time::Duration;

use super::Bench;
use super::authority::Fault;

/// How often a request is made.
const STEP: Duration = Duration::from_mins(7);

#[tokio::test]
async fn in_a_fortnight_nobody_is_asked_to_consent_again_except_after_invalid_grant() {
    let mut bench = Bench::new().await;
    bench.authority.script().grace = true;
    bench.connect().await.unwrap();
    let steps = 14 * 24 * 60 / 7;
    let mut without_token = 0;
    for step in 0..steps {
        bench.clock.advance(STEP);
        trouble(&mut bench, step).await;
        bench.connections.refresh_due().await;
        match bench.token().await {
            Ok(token) if bench.authority.takes(&token) => {}
            Ok(_) | Err(crate::client::Unusable::Unavailable { .. }) => without_token += 1,
            Err(error) => panic!("step {step}: {error}"),
        }
        assert_ne!(bench.state(), "needs_consent", "step {step}: {}", bench.reason());
    }
    assert!(bench.authority.script().refreshes > 300, "{}", bench.authority.script().refreshes);
    assert_eq!(bench.authority.script().registrations % 100, 1, "one registration for all");
    assert!(without_token < steps / 50, "{without_token} of {steps} requests had no good token");

    bench.authority.withdraw();
    for _ in 0..10 {
        bench.clock.advance(STEP);
        bench.connections.refresh_due().await;
    }
    assert_eq!(bench.state(), "needs_consent");
    bench.connect().await.unwrap();
    assert!(bench.token().await.is_ok());
}

/// Something that happens now and then.
async fn trouble(bench: &mut Bench, step: u32) {
    let fault = match step % 97 {
        7 => Some(Fault::Answer(500, "oops")),
        21 => Some(Fault::TimedOut),
        35 => Some(Fault::Unreachable),
        49 => Some(Fault::Lost),
        63 => Some(Fault::Answer(503, "<html>")),
        _ => None,
    };
    if let Some(fault) = fault {
        bench.authority.script().faults.push_back(fault);
    }
    match step % 401 {
        // A restart, sometimes just after an answer was lost.
        50 | 200 => bench.restart().await,
        // The secret is rotated.
        100 => {
            let server = super::server();
            bench.connections.rotate_client(&server, super::authority::ISSUER).await.unwrap();
        }
        // The clock of this machine is set an hour ahead.
        300 => bench.clock.advance(Duration::from_hours(1)),
        _ => {}
    }
}
