//! Whether the table of a host fits its row type.

mod columns;
mod id_index;
mod id_type;
mod privileges;
mod side_effects;

use std::fmt;

use optilock::{
    Version,
    postgres::{ErrorKind, PgRepository, PgVersioned},
    sqlx::{self, AssertSqlSafe, Connection, PgConnection},
    versioned_row,
};

use crate::support::{
    bank::Account,
    db::{Db, Default},
    proxy::Proxy,
};

/// A table that fits `Account`.
const ACCOUNTS: &str = "CREATE TABLE bank.accounts (id bigint PRIMARY KEY, owner text NOT NULL, cents bigint NOT NULL, version bigint NOT NULL)";

/// Runs statements as a simple query.
async fn run(conn: &mut PgConnection, sql: impl Into<String>) {
    sqlx::raw_sql(AssertSqlSafe(sql.into()))
        .execute(&mut *conn)
        .await
        .unwrap();
}

/// Runs statements after which columns or types differ, and drops the session's prepared statements.
async fn change(conn: &mut PgConnection, sql: impl Into<String>) {
    run(&mut *conn, sql).await;
    conn.clear_cached_statements().await.unwrap();
}

/// Creates the table in a new schema `bank`, and verifies the row type `T` against it.
async fn problems<T: PgVersioned>(db: &Db, table: &str) -> Vec<String> {
    let mut conn = db.pool.acquire().await.unwrap();
    let create = format!(
        "DROP SCHEMA IF EXISTS bank CASCADE; CREATE SCHEMA bank; CREATE TABLE bank.parent (id bigint); {table}"
    );
    change(&mut conn, create).await;
    let rows = PgRepository::<T>::new(db.pool.clone());
    match rows.verify_in(&mut conn).await {
        Ok(()) => Vec::new(),
        Err(error) if error.kind() == ErrorKind::SchemaMismatch => {
            let text = error.to_string();
            assert!(
                text.starts_with("table bank.accounts doesn't fit: "),
                "{text}"
            );
            error.problems().to_vec()
        }
        Err(other) => panic!("{other:?}"),
    }
}

/// Verifies the row type `T`, and joins the problems to one text.
async fn problem<T: PgVersioned>(
    conn: &mut PgConnection,
    rows: &PgRepository<T>,
) -> Option<String> {
    match rows.verify_in(conn).await {
        Ok(()) => None,
        Err(error) if error.kind() == ErrorKind::SchemaMismatch => {
            Some(error.problems().join("; "))
        }
        Err(other) => panic!("{other:?}"),
    }
}

/// A database whose pool has one connection.
async fn single_connection() -> Db {
    Db::empty_with(Default::ReadCommitted, 1).await
}

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
struct User {
    name: String,
    version: Version,
}

versioned_row! { User in "bank.users" {
    entity: "user", id: name: String, version: version, columns: [],
} }

/// The Rust type of a `citext` column.
#[derive(Clone, Debug, PartialEq, Eq, Hash, sqlx::Type)]
#[sqlx(type_name = "citext")]
struct Login(String);

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
struct Member {
    name: Login,
    version: Version,
}

versioned_row! { Member in "bank.users" {
    entity: "member", id: name: Login, version: version, columns: [],
} }

/// Outside of a transaction, a pooler runs a statement without a name on a server that may not have it.
#[tokio::test]
async fn every_statement_of_the_check_has_a_name() {
    let db = Db::empty().await;
    let mut conn = db.pool.acquire().await.unwrap();
    run(&mut conn, format!("CREATE SCHEMA bank; {ACCOUNTS}")).await;
    let proxy = Proxy::new(&db).await;
    let rows = PgRepository::<Account>::new(proxy.pool(1).await);
    rows.verify().await.unwrap();
    assert!(proxy.counts().2 > 5);
    assert_eq!(proxy.unnamed(), 0);
}
