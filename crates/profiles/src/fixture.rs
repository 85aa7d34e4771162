//! What the tests of this crate stand on: a real store, a clock that stands
//! still, a profile and its callers.

use std::path::PathBuf;
use std::sync::Arc;

use std::collections::BTreeMap;

use indexmap::IndexMap;
use sqlx::ConnectOptions as _;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tempfile::TempDir;
use trunkline_model::{
    Action, AuditEvent, Caller, KeyId, ManualClock, Principal, ProfileAuth, ProfileName, ProfileSpec,
    Selection, ServerName, Timestamp, ToolFilter,
};
use trunkline_storage::{AuditRow, Store};
use uuid::Uuid;

use crate::{Asked, AuditLog, EffectiveProfile, Export, Guard, Kind};

pub(crate) const NOON: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

const JOURNAL: &str = "journal";

pub(crate) struct Fixture {
    pub directory: TempDir,
    pub store: Arc<Store>,
    pub clock: ManualClock,
    pub audit: AuditLog,
    pub guard: Guard,
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let clock = ManualClock::starting_at(NOON);
        let store = Store::open_in(directory.path(), Arc::new(clock.clone())).await.unwrap();
        let journal = directory.path().join(JOURNAL);
        let audit = AuditLog::start(Arc::clone(&store), &journal, &clock).await.unwrap();
        let guard = Guard::new(audit.clone(), Arc::new(clock.clone()));
        Self { directory, store, clock, audit, guard }
    }

    /// Everything in the trail, after the log has been closed.
    pub(crate) async fn trail(&self) -> Vec<AuditEvent> {
        self.audit.close().await;
        self.rows().await.iter().map(|row| serde_json::from_str(&row.payload).unwrap()).collect()
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.directory.path().join(JOURNAL)
    }

    pub(crate) async fn rows(&self) -> Vec<AuditRow> {
        let mut export = Export::new(&self.store).await.unwrap();
        let mut rows = Vec::new();
        while let Some(page) = export.next_page().await.unwrap() {
            rows.extend(page);
        }
        rows
    }

    /// A connection to the database behind the store's back.
    pub(crate) async fn back_door(&self) -> SqliteConnection {
        SqliteConnectOptions::new()
            .filename(self.directory.path().join("trunkline.db"))
            .connect()
            .await
            .unwrap()
    }

    pub(crate) async fn tamper(&self, sql: &'static str) -> u64 {
        sqlx::query(sql).execute(&mut self.back_door().await).await.unwrap().rows_affected()
    }
}

pub(crate) fn server(name: &str) -> ServerName {
    ServerName::new(name).unwrap()
}

/// Selects `files` (tools `read_*`, no prompt `secret*`) and nothing else.
pub(crate) fn engineering() -> EffectiveProfile {
    let selection = Selection {
        tools: ToolFilter { include: Some(vec!["read_*".into()]), exclude: vec!["*_secret".into()] },
        prompts: ToolFilter { include: None, exclude: vec!["secret*".into()] },
        ..Selection::default()
    };
    let spec = ProfileSpec {
        name: ProfileName::new("engineering").unwrap(),
        auth: ProfileAuth::ApiKey,
        members: None,
        scopes: BTreeMap::new(),
        servers: IndexMap::from([(server("files"), selection)]),
        models: Vec::new(),
    };
    EffectiveProfile::new(&spec).unwrap()
}

pub(crate) fn principal() -> Principal {
    Principal::Key { id: KeyId::from_uuid(Uuid::from_u128(7)), name: "laptop".into(), owner: None }
}

#[expect(clippy::disallowed_methods, reason = "these tests need a caller, not a credential")]
pub(crate) fn caller_of(profile: &str) -> Caller {
    Caller::authenticated(principal(), ProfileName::new(profile).unwrap())
}

pub(crate) fn asked(kind: Kind, server_name: &str, target: &str) -> Asked {
    Asked {
        request_id: Uuid::from_u128(1),
        arrived: NOON,
        kind,
        tool: Some(format!("{server_name}__{target}")),
        action: Action {
            method: "tools/call".into(),
            server: Some(server(server_name)),
            target: Some(target.into()),
            shown_as: Some(format!("{server_name}__{target}")),
        },
        request_bytes: 11,
    }
}
