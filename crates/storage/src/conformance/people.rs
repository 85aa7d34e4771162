use std::collections::BTreeSet;

use trunkline_model::{
    BrowserSession, Role, SessionId, Team, TeamId, Timestamp, TokenHash, User, UserId, UserKind,
};
use uuid::Uuid;

use super::{on_both, store_at};
use crate::{
    Changed, DirectoryGroup, Identity, IdentityOwner, IssuerSession, LinkFor, NewSession, UserChange,
};

fn user(number: u8, login: &str) -> User {
    User {
        id: UserId::from_uuid(Uuid::from_u128(u128::from(number))),
        kind: if number.is_multiple_of(2) { UserKind::Service } else { UserKind::Person },
        login: login.to_owned(),
        name: format!("User {number} 'quoted' ä"),
        role: Role::Operator,
        created_at: Timestamp::from_micros(1000),
        disabled_at: number.is_multiple_of(2).then(|| Timestamp::from_micros(2000)),
    }
}

#[tokio::test]
async fn users_are_listed_as_they_were_added_and_no_two_share_a_login() {
    on_both(async |location| {
        let store = store_at(location).await;
        for one in [user(1, "zoe"), user(2, "ann")] {
            store.users().insert(&one).await.unwrap();
        }
        assert!(store.users().insert(&user(3, "zoe")).await.is_err());
        assert_eq!(store.users().list().await.unwrap(), [user(2, "ann"), user(1, "zoe")], "by login");
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn a_session_is_live_until_it_ends_or_is_ended() {
    on_both(async |location| {
        let store = store_at(location).await;
        store.users().insert(&user(1, "ann")).await.unwrap();
        let session = |number: u8, end: i64| BrowserSession {
            id: SessionId::from_uuid(Uuid::from_u128(u128::from(number))),
            user: user(1, "ann").id,
            method: "password".into(),
            user_agent: "Firefox".into(),
            created_at: Timestamp::from_micros(1000),
            seen_at: Timestamp::from_micros(1000),
            expires_at: Timestamp::from_micros(end),
            revoked_at: None,
        };
        for (number, end) in [(1, 5000), (2, 9000), (3, 9000)] {
            store
                .browser_sessions()
                .insert(&session(number, end), TokenHash([number; 32]), &IssuerSession::default())
                .await
                .unwrap();
        }
        let at = Timestamp::from_micros(5000);
        assert!(store.browser_sessions().revoke(session(3, 0).id, at).await.unwrap());
        assert!(!store.browser_sessions().revoke(session(3, 0).id, at).await.unwrap(), "once");
        let live = store.browser_sessions().live(at).await.unwrap();
        assert_eq!(live, [(TokenHash([2; 32]), session(2, 9000))]);
        store.close().await;
    })
    .await;
}

fn owner(number: u8, login: &str) -> User {
    User { kind: UserKind::Person, role: Role::Owner, disabled_at: None, ..user(number, login) }
}

const NOW: Timestamp = Timestamp::from_micros(7000);

#[tokio::test]
async fn the_last_owner_is_not_demoted_disabled_or_deleted() {
    on_both(async |location| {
        let store = store_at(location).await;
        let users = store.users();
        let (ann, bob) = (owner(1, "ann"), owner(2, "bob"));
        users.insert(&ann).await.unwrap();
        let demote = || UserChange { role: Some(Role::Admin), ..UserChange::default() };
        let disable = || UserChange { disabled: Some(true), ..UserChange::default() };
        for change in [demote(), disable()] {
            assert_eq!(users.change(ann.id, change, Role::Owner, NOW).await.unwrap(), Changed::LastOwner);
        }
        assert_eq!(users.delete(ann.id, Role::Owner, NOW).await.unwrap(), Changed::LastOwner);
        users.insert(&bob).await.unwrap();
        assert_eq!(users.change(ann.id, demote(), Role::Admin, NOW).await.unwrap(), Changed::Forbidden);
        // Both at once: one of them stays.
        let (one, other) = tokio::join!(
            users.change(ann.id, demote(), Role::Owner, NOW),
            users.change(bob.id, disable(), Role::Owner, NOW)
        );
        let outcomes = [one.unwrap(), other.unwrap()];
        assert!(outcomes.contains(&Changed::LastOwner), "{outcomes:?}");
        assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Changed::Done(_))).count(), 1);
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn who_is_disabled_loses_sessions_links_and_what_they_are_known_by_when_deleted() {
    on_both(async |location| {
        let store = store_at(location).await;
        let users = store.users();
        users.insert(&owner(1, "zoe")).await.unwrap();
        let ann = User { role: Role::Member, ..owner(3, "ann") };
        let identity = Identity { issuer: "https://idp.example".into(), subject: "42".into() };
        let made = users.find_or_insert(&identity, &ann).await.unwrap();
        assert_eq!(made, IdentityOwner::New(ann.clone()));
        let again = User { id: user(5, "x").id, ..ann.clone() };
        assert_eq!(users.find_or_insert(&identity, &again).await.unwrap(), IdentityOwner::Known(ann.clone()));
        let other = Identity { issuer: "https://other.example".into(), subject: "42".into() };
        assert_eq!(users.find_or_insert(&other, &again).await.unwrap(), IdentityOwner::LoginTaken);

        let later = Timestamp::from_micros(99_000);
        store.sign_in_links().insert(TokenHash([1; 32]), ann.id, NOW, later).await.unwrap();
        assert_eq!(
            store.sign_in_links().find(TokenHash([1; 32]), NOW).await.unwrap(),
            Some(LinkFor::User(ann.id))
        );
        users.set_password(ann.id, Some("$argon2id$x"), NOW).await.unwrap();
        assert_eq!(users.password_of("ann").await.unwrap(), Some((ann.clone(), "$argon2id$x".to_owned())));
        let disable = UserChange { disabled: Some(true), ..UserChange::default() };
        users.change(ann.id, disable, Role::Admin, NOW).await.unwrap();
        assert_eq!(store.sign_in_links().find(TokenHash([1; 32]), NOW).await.unwrap(), None);
        assert_eq!(users.find(ann.id).await.unwrap().unwrap().disabled_at, Some(NOW));
        assert!(matches!(users.delete(ann.id, Role::Admin, NOW).await.unwrap(), Changed::Done(_)));
        assert_eq!(users.find_by_identity(&identity).await.unwrap(), None);
        store.close().await;
    })
    .await;
}

fn begun(number: u128, user: UserId) -> BrowserSession {
    BrowserSession {
        id: SessionId::from_uuid(Uuid::from_u128(number)),
        user,
        method: "link".into(),
        user_agent: String::new(),
        created_at: NOW,
        seen_at: NOW,
        expires_at: Timestamp::from_micros(9000),
        revoked_at: None,
    }
}

#[tokio::test]
async fn a_link_opens_once_and_only_the_first_user_comes_by_the_setup_link() {
    on_both(async |location| {
        let store = store_at(location).await;
        let links = store.sign_in_links();
        let (hash, until) = (TokenHash([1; 32]), Timestamp::from_micros(9000));
        assert!(links.insert_setup(TokenHash([9; 32]), NOW, until).await.unwrap());
        assert!(links.insert_setup(hash, NOW, until).await.unwrap());
        assert_eq!(links.find(TokenHash([9; 32]), NOW).await.unwrap(), None, "the newest counts");
        assert_eq!(links.find(hash, until).await.unwrap(), None, "too late");
        let (one, other) = (owner(1, "ann"), owner(2, "bob"));
        let late = BrowserSession { created_at: until, ..begun(1, one.id) };
        let new = |session, hash| NewSession { session, hash: TokenHash(hash) };
        assert!(!links.become_first_owner(hash, &one, "p", new(&late, [3; 32])).await.unwrap());
        let (of_one, of_other) = (begun(1, one.id), begun(2, other.id));
        let (first, second) = tokio::join!(
            links.become_first_owner(hash, &one, "p", new(&of_one, [3; 32])),
            links.become_first_owner(hash, &other, "p", new(&of_other, [4; 32]))
        );
        assert!(first.unwrap() != second.unwrap(), "one of them");
        assert_eq!(store.browser_sessions().live(NOW).await.unwrap().len(), 1, "and signed in");
        assert!(!links.insert_setup(hash, NOW, until).await.unwrap());
        let user = store.users().list().await.unwrap().remove(0);
        links.insert(TokenHash([2; 32]), user.id, NOW, until).await.unwrap();
        let (followed, again) = (begun(5, user.id), begun(6, user.id));
        let link = TokenHash([2; 32]);
        store.faults().fail_table("browser_session");
        assert!(links.follow(link, Some("q"), new(&followed, [5; 32])).await.is_err());
        store.faults().end();
        assert!(links.follow(link, Some("q"), new(&followed, [5; 32])).await.unwrap(), "nothing was used up");
        assert!(!links.follow(link, None, new(&again, [6; 32])).await.unwrap(), "once");
        let live = store.browser_sessions().live(NOW).await.unwrap();
        assert_eq!(live.len(), 1, "the new password ended the session before: {live:?}");
        store.close().await;
    })
    .await;
}

#[tokio::test]
async fn teams_and_groups_hold_their_members() {
    on_both(async |location| {
        let store = store_at(location).await;
        let (users, teams) = (store.users(), store.teams());
        let ann = owner(1, "ann");
        users.insert(&ann).await.unwrap();
        let team =
            Team { id: TeamId::from_uuid(Uuid::from_u128(1)), name: "platform".into(), created_at: NOW };
        assert!(teams.insert(&team).await.unwrap() && !teams.insert(&team).await.unwrap());
        assert!(teams.join(team.id, ann.id).await.unwrap() && !teams.join(team.id, ann.id).await.unwrap());
        assert_eq!(teams.members().await.unwrap(), [(team.id, ann.id)]);
        assert!(teams.leave(team.id, ann.id).await.unwrap() && !teams.leave(team.id, ann.id).await.unwrap());
        assert!(teams.delete(team.id).await.unwrap() && teams.list().await.unwrap().is_empty());

        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        users.set_groups(ann.id, "corp", &names(&["eng", "ops"])).await.unwrap();
        let version = store.changes().version().await.unwrap();
        users.set_groups(ann.id, "corp", &names(&["ops", "eng"])).await.unwrap();
        assert_eq!(store.changes().version().await.unwrap(), version, "no news");
        let group = DirectoryGroup {
            id: Uuid::from_u128(5),
            name: "all".into(),
            external_id: None,
            created_at: NOW,
            members: vec![ann.id],
        };
        assert!(users.put_directory_group(&group).await.unwrap());
        let renamed = DirectoryGroup { name: "everybody".into(), ..group.clone() };
        assert!(users.put_directory_group(&renamed).await.unwrap());
        assert_eq!(users.directory_groups().await.unwrap(), [renamed]);
        let held: Vec<String> = users.groups().await.unwrap().into_iter().map(|(_, name)| name).collect();
        assert_eq!(held, ["eng", "everybody", "ops"]);
        assert!(users.delete_directory_group(group.id).await.unwrap());
        assert_eq!(users.groups().await.unwrap().len(), 2);
        store.close().await;
    })
    .await;
}
