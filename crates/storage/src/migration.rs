//! The migrations, embedded: two folders with the same numbers. A released
//! one is never edited; the migrator compares checksums and refuses.

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{SqlSafeStr as _, SqlStr};

use crate::database::{Begun, Work};

/// One step, in both databases.
struct Step {
    number: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! step {
    ($number:literal, $file:literal) => {
        Step {
            number: $number,
            name: $file,
            sqlite: include_str!(concat!("../migrations/sqlite/", $file, ".sql")),
            postgres: include_str!(concat!("../migrations/postgres/", $file, ".sql")),
        }
    };
}

const STEPS: &[Step] = &[
    step!(1, "0001_start"),
    step!(2, "0002_people"),
    step!(3, "0003_authorization_server"),
    step!(4, "0004_connections"),
    step!(5, "0005_identities"),
    step!(6, "0006_absences"),
    step!(7, "0007_client_secrets"),
];

/// Brings the schema up to date within `work`, which nobody else can enter.
pub(crate) async fn migrate(work: &mut Work) -> Result<(), MigrateError> {
    let migrator = migrator(work);
    match &mut work.transaction {
        Begun::Sqlite(transaction) => migrator.run(&mut **transaction).await,
        Begun::Postgres(transaction) => migrator.run(&mut **transaction).await,
    }
}

fn migrator(work: &Work) -> Migrator {
    let sql = |step: &Step| match work.transaction {
        Begun::Sqlite(_) => step.sqlite,
        Begun::Postgres(_) => step.postgres,
    };
    let migrations = STEPS.iter().map(|step| migration(step, sql(step).into_sql_str())).collect();
    let mut migrator = Migrator::with_migrations(migrations);
    // The unit of work holds the lock already.
    migrator.set_locking(false);
    migrator
}

fn migration(step: &Step, sql: SqlStr) -> Migration {
    Migration::new(step.number, step.name.into(), MigrationType::Simple, sql, false)
}
