//! Servers that are shown who calls, with sign-ins as a script.

use std::sync::{Arc, Mutex};

use trunkline_model::{
    ConnectionOwner, ExchangeAt, ExchangeAuth, GivenClient, Role, Secret, ServerAuth, Subject, User, UserId,
    UserKind,
};
use trunkline_storage::KeptIdentity;

use super::authority::{Fault, ISSUER, LIFE, SERVER};
use super::{Bench, NOW, server, spec};
use crate::client::{Answering, Credential, IdToken, Identities, NoIdentity, Provider, Unusable};

/// What is known of a sign-in, and which tokens were said to be refused.
#[derive(Debug, Default)]
struct SignIns {
    answer: Mutex<Option<NoIdentity>>,
    refused: Mutex<Vec<Option<i64>>>,
}

impl Identities for SignIns {
    fn id_token<'a>(&'a self, user: UserId, _: &'a str, refused: Option<i64>) -> Answering<'a, IdToken> {
        self.refused.lock().unwrap().push(refused);
        let answer = match self.answer.lock().unwrap().clone() {
            Some(error) => Err(error),
            None => Ok(IdToken { token: Secret::new(format!("id token of {user}")), version: 7 }),
        };
        Box::pin(std::future::ready(answer))
    }

    fn exchange_at<'a>(&'a self, _: &'a str) -> Answering<'a, Provider> {
        let client = GivenClient { id: "hub".into(), secret: None, key: None, method: None };
        let provider = Provider { token_endpoint: format!("{ISSUER}/token"), client };
        Box::pin(std::future::ready(Ok(provider)))
    }
}

fn shown_the_caller() -> ServerAuth {
    ServerAuth::Exchange(Box::new(ExchangeAuth {
        at: ExchangeAt::Provider("corp".into()),
        subject: Subject::Caller { provider: "corp".into() },
        audience: None,
        scopes: Vec::new(),
    }))
}

fn user(number: u8) -> UserId {
    UserId::new([number; 10], NOW)
}

async fn bench() -> (Bench, Arc<SignIns>) {
    let mut bench = Bench::new().await;
    let sign_ins = Arc::new(SignIns::default());
    let shared = Arc::clone(&sign_ins) as Arc<dyn Identities>;
    bench.connections = super::process_with(&bench.store, &bench.clock, &bench.authority, 3, shared).await;
    bench.connections.configure(&[spec(SERVER, shown_the_caller())]);
    for number in [1, 2] {
        let account = User {
            id: user(number),
            kind: UserKind::Person,
            login: format!("user-{number}"),
            name: String::new(),
            role: Role::Member,
            created_at: NOW,
            disabled_at: None,
        };
        bench.store.users().insert(&account).await.unwrap();
    }
    (bench, sign_ins)
}

fn credential(bench: &Bench, owner: &str) -> Credential {
    let upstream = bench.connections.upstream(&server()).unwrap();
    let held = bench.connections.held(&server(), &ConnectionOwner::named(owner));
    Credential { connections: Arc::clone(&bench.connections), upstream, held }
}

async fn keep(bench: &Bench, user: UserId) {
    let kept = KeptIdentity { user, provider: "corp".into(), version: 1, sealed: Some("v1.x.y".into()) };
    bench.store.kept_identities().put(&kept, None).await.unwrap();
}

#[tokio::test]
async fn each_person_has_a_connection_of_their_own_and_nobody_else_one() {
    let (bench, _) = bench().await;
    let (ann, bob) = (user(1).to_string(), user(2).to_string());
    let of_ann = credential(&bench, &ann).obtain().await.unwrap().0;
    let of_bob = credential(&bench, &bob).obtain().await.unwrap().0;
    assert_ne!(of_ann, of_bob);
    assert!(
        bench.authority.script().shown.iter().eq([&ann, &bob].map(|id| format!("id token of {id}")).iter())
    );
    for nobody in ["hub", "anonymous@team", "key_01", "team_01"] {
        let credential = credential(&bench, nobody);
        let error = credential.obtain().await.unwrap_err();
        assert!(
            matches!(&error, Unusable::NotForCaller { reason } if reason.contains("no person")),
            "{error}"
        );
        assert_eq!(credential.link(), None);
    }
    assert_eq!(bench.connections.list().len(), 2);
}

#[tokio::test]
async fn an_id_token_that_is_refused_is_renewed_once_and_a_new_one_that_is_asks_nobody() {
    let (bench, sign_ins) = bench().await;
    let credential = credential(&bench, &user(1).to_string());
    let over = Fault::Answer(400, r#"{"error":"invalid_grant"}"#);
    bench.authority.script().faults.push_back(over.clone());
    assert!(credential.obtain().await.is_ok(), "the renewed one is taken");
    assert_eq!(*sign_ins.refused.lock().unwrap(), [None, Some(7)]);

    bench.clock.advance(LIFE * 2);
    bench.authority.script().faults.extend([over.clone(), over]);
    let error = credential.obtain().await.unwrap_err();
    assert!(matches!(&error, Unusable::Unavailable { reason } if reason.contains("operator")), "{error}");
}

#[tokio::test]
async fn who_has_to_sign_in_is_told_where_and_a_token_that_is_good_is_used_to_its_end() {
    let (bench, sign_ins) = bench().await;
    let credential = credential(&bench, &user(1).to_string());
    let first = credential.obtain().await.unwrap().0;
    *sign_ins.answer.lock().unwrap() = Some(NoIdentity::SignIn("it is over".to_owned()));
    bench.clock.advance(LIFE / 10 * 9);
    credential.answered();
    bench.connections.refresh_due().await;
    let shown = bench.connections.list();
    assert_eq!((shown[0].state, shown[0].reason.as_deref()), ("needs_consent", Some("it is over")));
    assert_eq!(credential.obtain().await.unwrap().0, first);
    bench.clock.advance(LIFE);
    for _ in 0..2 {
        let error = credential.obtain().await.unwrap_err();
        assert_eq!(error, Unusable::NeedsConsent { reason: "it is over".to_owned() });
    }
    assert!(credential.link().unwrap().ends_with("/connections/tracker/connect"));
    *sign_ins.answer.lock().unwrap() = None;
    assert!(credential.obtain().await.is_ok(), "they have signed in");
}

#[tokio::test]
async fn a_provider_that_is_away_asks_nobody_to_sign_in() {
    let (bench, sign_ins) = bench().await;
    *sign_ins.answer.lock().unwrap() = Some(NoIdentity::Away("it is away".to_owned()));
    let credential = credential(&bench, &user(1).to_string());
    let error = credential.obtain().await.unwrap_err();
    assert_eq!(error, Unusable::Unavailable { reason: "it is away".to_owned() });
    assert_eq!(bench.connections.list()[0].state, "unreachable");
}

#[tokio::test]
async fn tokens_go_with_the_identity_that_they_come_from_and_wait_for_a_new_one() {
    let (bench, sign_ins) = bench().await;
    let (ann, bob) = (credential(&bench, &user(1).to_string()), credential(&bench, &user(2).to_string()));
    for (credential, number) in [(&ann, 1), (&bob, 2)] {
        keep(&bench, user(number)).await;
        credential.obtain().await.unwrap();
    }
    bench.connections.follow_identities().await.unwrap();
    assert!(ann.header().is_some() && bob.header().is_some());
    bench.store.kept_identities().erase(user(1), "corp").await.unwrap();
    bench.connections.follow_identities().await.unwrap();
    assert!(ann.header().is_none(), "erased with it");
    assert!(bob.header().is_some());

    *sign_ins.answer.lock().unwrap() = Some(NoIdentity::SignIn("nothing is kept".to_owned()));
    assert!(ann.obtain().await.is_err());
    *sign_ins.answer.lock().unwrap() = None;
    keep(&bench, user(1)).await;
    bench.connections.follow_identities().await.unwrap();
    bench.connections.refresh_due().await;
    assert!(ann.header().is_some(), "a sign-in is taken up without a call");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_read_meanwhile_takes_nothing_newer_away() {
    let (bench, _) = bench().await;
    let reader = Arc::clone(&bench.connections);
    let reading = tokio::spawn(async move {
        loop {
            reader.catch_up().await.unwrap();
        }
    });
    for number in 1..=100 {
        let credential = credential(&bench, &user(number).to_string());
        let (first, _) = credential.obtain().await.expect("it has just come");
        assert_eq!(credential.obtain().await.expect("it stays").0, first);
    }
    reading.abort();
    assert_eq!(bench.authority.script().shown.len(), 100, "each is asked for once");
}
