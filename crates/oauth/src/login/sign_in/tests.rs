use trunkline_model::{ManualClock, Role, Timestamp};
use trunkline_web::OutboundPolicy;

use super::super::{LoginParts, Sessions, SignInSettings, new_person};
use super::*;
use crate::{People, Resource, Tokens};

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);
const PASSWORD: &str = "correct horse battery";

async fn login(directory: &std::path::Path) -> Arc<Login> {
    // Another test of this process may have done it.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let clock: Arc<dyn trunkline_model::Clock> = Arc::new(ManualClock::starting_at(NOW));
    let store = trunkline_storage::Store::open_in(directory, Arc::clone(&clock)).await.expect("opened");
    let people = People::load(Arc::clone(&store), Arc::clone(&clock)).await.expect("people");
    let public_url: url::Url = "https://hub.example".parse().expect("a URL");
    let tokens = Tokens::load(Arc::clone(&store), Arc::clone(&clock), &public_url).await.expect("tokens");
    let resource = Resource::load(Arc::clone(&store), Arc::clone(&people), tokens, Arc::clone(&clock));
    let sessions = Sessions::new(Arc::clone(&store), Arc::clone(&people), Arc::clone(&clock), &public_url);
    Login::new(LoginParts {
        resource: resource.await.expect("keys"),
        sessions: Arc::new(sessions),
        outbound: trunkline_web::Outbound::new(OutboundPolicy::default()).expect("a client"),
        settings: SignInSettings::default(),
        store,
        people,
        clock,
        public_url,
    })
    .expect("started")
}

/// Counted, because a clock would tell it only on a quiet machine: hashes and
/// statements are all that a refusal costs.
#[tokio::test]
async fn every_refusal_of_a_password_costs_the_same() {
    let directory = tempfile::tempdir().expect("a directory");
    let login = login(directory.path()).await;
    let users = login.store.users();
    let hash = login.passwords.chosen(PASSWORD, PASSWORD).await.expect("taken");
    for (name, kind, has_password, is_disabled) in [
        ("ann", UserKind::Person, true, false),
        ("without", UserKind::Person, false, false),
        ("disabled", UserKind::Person, true, true),
        ("machine", UserKind::Service, false, false),
    ] {
        let person = new_person(name.to_owned(), String::new(), Role::Member, NOW);
        let user = User { kind, disabled_at: is_disabled.then_some(NOW), ..person };
        users.insert(&user).await.expect("inserted");
        if has_password {
            users.set_password(user.id, Some(&hash), NOW).await.expect("set");
        }
    }
    let cost = async |name: &str, password: &str| {
        let before = login.passwords.worked();
        login.store.faults().fail_statement(u32::MAX);
        let found = login.check_password(name, password).await.expect("the database answers");
        (found.is_some(), login.passwords.worked() - before, login.store.faults().end().statements)
    };
    let right = cost("ann", PASSWORD).await;
    assert_eq!(right, (true, 1, 2));
    for (name, password) in [
        ("ann", "another password"),
        ("ann", ""),
        ("nobody", PASSWORD),
        ("", PASSWORD),
        ("without", PASSWORD),
        ("disabled", PASSWORD),
        ("disabled", "another password"),
        ("machine", PASSWORD),
    ] {
        assert_eq!(cost(name, password).await, (false, right.1, right.2), "{name:?} {password:?}");
    }
}
