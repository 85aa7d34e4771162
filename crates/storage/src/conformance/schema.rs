//! The two folders of migrations describe the same tables, and every
//! statement of this crate is valid in both databases.

use std::sync::Arc;

use sqlx::{AssertSqlSafe, Executor as _, SqlSafeStr as _, Statement as _};
use tempfile::TempDir;

use super::{on_both, postgres, sqlite_in, store_at};
use crate::database::{Pools, reading};
use crate::{
    Store, absences, audit, authorization, browser_sessions, changes, connections, kept_identities, keys,
    sign_in_links, store, teams, upstream_clients, upstream_flows, users,
};

fn statements(store: &Store) -> Vec<Arc<str>> {
    let fixed = [
        absences::STATEMENTS,
        audit::STATEMENTS,
        browser_sessions::STATEMENTS,
        changes::STATEMENTS,
        connections::STATEMENTS,
        kept_identities::STATEMENTS,
        keys::STATEMENTS,
        sign_in_links::STATEMENTS,
        store::STATEMENTS,
        teams::STATEMENTS,
        upstream_clients::STATEMENTS,
        upstream_flows::STATEMENTS,
    ];
    let fixed = fixed.iter().chain(users::STATEMENTS).chain(authorization::STATEMENTS);
    let fixed = fixed.flat_map(|list| list.iter().map(|sql| Arc::from(*sql)));
    fixed.chain(audit::inserts(store.database()).iter().cloned()).collect()
}

#[tokio::test]
async fn every_statement_is_prepared_on_both() {
    on_both(async |location| {
        let store = store_at(location).await;
        for sql in statements(&store) {
            let marks = sql.matches(['$', '?']).count();
            let parameters = reading!(store.database(), pool => {
                let statement = pool.prepare(AssertSqlSafe(Arc::clone(&sql)).into_sql_str()).await;
                let statement = statement.unwrap_or_else(|error| panic!("{sql}: {error}"));
                match statement.parameters() {
                    Some(sqlx::Either::Left(types)) => types.len(),
                    Some(sqlx::Either::Right(count)) => count,
                    None => 0,
                }
            });
            assert_eq!(parameters, marks, "each parameter stands once in {sql}");
        }
        store.close().await;
    })
    .await;
}

/// Table, column, type (in SQLite's words), whether it must have a value.
type Column = (String, String, String, bool);

#[tokio::test]
async fn both_schemas_have_the_same_columns() {
    let directory = TempDir::new().unwrap();
    let Some(location) = postgres().await else { return };
    let sqlite = store_at(sqlite_in(directory.path())).await;
    let postgres = store_at(location).await;
    let (left, right) = (columns(&sqlite).await, columns(&postgres).await);
    assert!(left.len() >= 20, "the query finds the columns: {left:?}");
    assert_eq!(left, right);
    assert_eq!(unique_columns(&sqlite).await, unique_columns(&postgres).await);
    sqlite.close().await;
    postgres.close().await;
}

async fn columns(store: &Store) -> Vec<Column> {
    let mut columns: Vec<Column> = match &store.database().pools {
        Pools::Sqlite { readers, .. } => {
            let sql = "SELECT t.name, c.name, c.type, c.\"notnull\" FROM sqlite_master t \
                       JOIN pragma_table_info(t.name) c WHERE t.type = 'table' AND t.name NOT LIKE '\\_%' ESCAPE '\\'";
            sqlx::query_as(sql).fetch_all(readers).await.unwrap()
        }
        Pools::Postgres(pool) => {
            let sql = "SELECT table_name::text, column_name::text, data_type::text, is_nullable = 'NO' \
                       FROM information_schema.columns WHERE table_schema = 'public' AND table_name NOT LIKE '\\_%'";
            let columns: Vec<Column> = sqlx::query_as(sql).fetch_all(pool).await.unwrap();
            let in_sqlite = |(table, column, kind, filled): Column| {
                let kind = match kind.as_str() {
                    "text" => "TEXT",
                    "bigint" => "INTEGER",
                    "bytea" | "uuid" => "BLOB",
                    other => panic!("{table}.{column} has the type {other}, which SQLite has not"),
                };
                (table, column, kind.to_owned(), filled)
            };
            columns.into_iter().map(in_sqlite).collect()
        }
    };
    columns.sort();
    columns
}

/// The columns of every primary key and unique index, each as `table: a, b`.
async fn unique_columns(store: &Store) -> Vec<String> {
    let mut found: Vec<String> = match &store.database().pools {
        Pools::Sqlite { readers, .. } => {
            let sql = "SELECT t.name || ': ' || group_concat(c.name, ', ') FROM sqlite_master t \
                       JOIN pragma_index_list(t.name) i JOIN pragma_index_info(i.name) c \
                       WHERE t.type = 'table' AND i.\"unique\" AND t.name NOT LIKE '\\_%' ESCAPE '\\' \
                       GROUP BY t.name, i.name";
            let mut indexes: Vec<String> = sqlx::query_scalar(sql).fetch_all(readers).await.unwrap();
            // An INTEGER PRIMARY KEY is the row's number and has no index of its own.
            indexes.push("change_counter: id".into());
            indexes
        }
        Pools::Postgres(pool) => {
            let sql = "SELECT tc.table_name || ': ' || string_agg(kc.column_name, ', ' ORDER BY kc.ordinal_position) \
                       FROM information_schema.table_constraints tc \
                       JOIN information_schema.key_column_usage kc USING (constraint_schema, constraint_name) \
                       WHERE tc.table_schema = 'public' AND tc.constraint_type IN ('PRIMARY KEY', 'UNIQUE') \
                       AND tc.table_name NOT LIKE '\\_%' GROUP BY tc.table_name, tc.constraint_name";
            sqlx::query_scalar(sql).fetch_all(pool).await.unwrap()
        }
    };
    found.sort();
    found
}
