//! Faults on demand, for tests alone (the feature `faults`): a statement, a
//! commit or the vault fails when a test has said so. Every statement of this
//! crate passes here, because `database.rs` gives no other way to run one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::{BoxFuture, FutureExt as _};
use futures_util::stream::{BoxStream, StreamExt as _};
use sqlx::error::BoxDynError;
use sqlx::{Database, Either, Execute, Executor, SqlStr};

use crate::vault::VaultError;

/// What a query gives, piece by piece.
type Row<DB> = Either<<DB as Database>::QueryResult, <DB as Database>::Row>;

/// What shall fail in one store. Its clones are of the same store.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

/// What has happened since the plan was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Statements and commits, those that failed included.
    pub statements: u32,
    /// What the vault was asked to seal or open.
    pub seals: u32,
    /// What failed: SQL, `COMMIT`, or what the vault refused.
    pub failed: Vec<String>,
}

#[derive(Debug, Default)]
struct Plan {
    /// The number of the statement that fails, from 1.
    statement: Option<u32>,
    /// Each one after it fails too.
    and_each_after: bool,
    table: Option<String>,
    /// The number of what the vault does not seal or open, from 1.
    seal: Option<u32>,
    seen: Seen,
}

/// The faults of one unit of work.
#[derive(Debug)]
pub(crate) struct FaultsOfWork {
    faults: Faults,
    /// A work of the audit trail comes when it likes, and is not counted.
    counted: Mutex<bool>,
}

/// Something that runs statements, unless they shall fail.
#[derive(Debug)]
pub(crate) struct Watched<'f, E> {
    executor: E,
    faults: &'f Faults,
    /// Where it is noted that a statement was counted.
    work: Option<&'f Mutex<bool>>,
}

impl Faults {
    /// The `number`th statement from now fails, from 1; a commit is one too.
    pub fn fail_statement(&self, number: u32) {
        self.begin(Plan { statement: Some(number), ..Plan::default() });
    }

    /// The `number`th statement from now and each after it fail.
    pub fn fail_from(&self, number: u32) {
        self.begin(Plan { statement: Some(number), and_each_after: true, ..Plan::default() });
    }

    /// Every statement that names this table fails.
    pub fn fail_table(&self, table: &str) {
        self.begin(Plan { table: Some(table.to_owned()), ..Plan::default() });
    }

    /// The `number`th thing from now that the vault has to seal or open is
    /// refused, from 1.
    pub fn fail_seal(&self, number: u32) {
        self.begin(Plan { seal: Some(number), ..Plan::default() });
    }

    /// Nothing fails from now on; what there has been.
    pub fn end(&self) -> Seen {
        std::mem::take(&mut *self.plan()).seen
    }

    fn begin(&self, plan: Plan) {
        *self.plan() = plan;
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn of_work(&self) -> FaultsOfWork {
        FaultsOfWork { faults: self.clone(), counted: Mutex::new(false) }
    }

    pub(crate) fn watch<E>(&self, executor: E) -> Watched<'_, E> {
        Watched { executor, faults: self, work: None }
    }

    pub(crate) fn sealing(&self) -> Result<(), VaultError> {
        self.seal("seal", VaultError::Refused)
    }

    pub(crate) fn opening(&self) -> Result<(), VaultError> {
        self.seal("open", VaultError::Broken)
    }

    fn seal(&self, what: &str, error: VaultError) -> Result<(), VaultError> {
        let mut plan = self.plan();
        plan.seen.seals += 1;
        if plan.seal != Some(plan.seen.seals) {
            return Ok(());
        }
        plan.seen.failed.push(what.to_owned());
        Err(error)
    }

    fn statement(&self, sql: &str) -> Result<(), sqlx::Error> {
        let mut plan = self.plan();
        plan.seen.statements += 1;
        let number = plan.seen.statements;
        let by_number =
            plan.statement.is_some_and(|wanted| number == wanted || (plan.and_each_after && number > wanted));
        let by_table = plan.table.as_deref().is_some_and(|table| names(sql, table));
        if !by_number && !by_table {
            return Ok(());
        }
        plan.seen.failed.push(sql.to_owned());
        Err(sqlx::Error::Io(std::io::Error::other("a fault of a test")))
    }
}

impl FaultsOfWork {
    pub(crate) fn watch<E>(&self, executor: E) -> Watched<'_, E> {
        Watched { executor, faults: &self.faults, work: Some(&self.counted) }
    }

    pub(crate) fn commit(&self) -> Result<(), sqlx::Error> {
        let counted = *self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if counted { self.faults.statement("COMMIT") } else { Ok(()) }
    }
}

impl<E> Watched<'_, E> {
    fn check(&self, sql: &str) -> Result<(), sqlx::Error> {
        // What is moved out of the journal is nobody's request.
        if names(sql, "audit_event") {
            return Ok(());
        }
        if let Some(counted) = self.work {
            *counted.lock().unwrap_or_else(PoisonError::into_inner) = true;
        }
        self.faults.statement(sql)
    }
}

/// Whether `table` stands in `sql` as a word.
fn names(sql: &str, table: &str) -> bool {
    sql.split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .any(|word| word == table)
}

/// A query whose text has been looked at, which takes it apart.
struct Again<DB: Database> {
    sql: SqlStr,
    arguments: Result<Option<DB::Arguments>, BoxDynError>,
    persistent: bool,
}

impl<DB: Database> Again<DB> {
    fn of<'q>(mut query: impl Execute<'q, DB>) -> Self {
        let (arguments, persistent) = (query.take_arguments(), query.persistent());
        Self { sql: query.sql(), arguments, persistent }
    }
}

impl<DB: Database> Execute<'_, DB> for Again<DB> {
    fn sql(self) -> SqlStr {
        self.sql
    }

    fn statement(&self) -> Option<&DB::Statement> {
        None
    }

    fn take_arguments(&mut self) -> Result<Option<DB::Arguments>, BoxDynError> {
        std::mem::replace(&mut self.arguments, Ok(None))
    }

    fn persistent(&self) -> bool {
        self.persistent
    }
}

impl<'c, E: Executor<'c>> Executor<'c> for Watched<'_, E> {
    type Database = E::Database;

    fn fetch_many<'e, 'q: 'e, Q>(self, query: Q) -> BoxStream<'e, Result<Row<E::Database>, sqlx::Error>>
    where
        'c: 'e,
        Q: 'q + Execute<'q, E::Database>,
    {
        let query = Again::of(query);
        match self.check(query.sql.as_str()) {
            Ok(()) => self.executor.fetch_many(query),
            Err(error) => futures_util::stream::once(std::future::ready(Err(error))).boxed(),
        }
    }

    fn fetch_optional<'e, 'q: 'e, Q>(
        self,
        query: Q,
    ) -> BoxFuture<'e, Result<Option<<E::Database as Database>::Row>, sqlx::Error>>
    where
        'c: 'e,
        Q: 'q + Execute<'q, E::Database>,
    {
        let query = Again::of(query);
        match self.check(query.sql.as_str()) {
            Ok(()) => self.executor.fetch_optional(query),
            Err(error) => std::future::ready(Err(error)).boxed(),
        }
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [<E::Database as Database>::TypeInfo],
    ) -> BoxFuture<'e, Result<<E::Database as Database>::Statement, sqlx::Error>>
    where
        'c: 'e,
    {
        self.executor.prepare_with(sql, parameters)
    }
}
