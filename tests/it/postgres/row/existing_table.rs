//! The statements of the guide's page on tables in use, on a table with writers.

use std::time::Duration;

use optilock::{
    RetryPolicy, Version,
    postgres::{Error, PgRepository},
    sqlx::{self, AssertSqlSafe, Connection, PgConnection, PgPool},
    versioned_row,
};
use tokio::task::JoinSet;

use crate::support::db::{Db, assert_idle, sql_of};

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
struct Account {
    id: i64,
    owner: String,
    cents: i64,
    version: Version,
}

versioned_row! { Account in "shop.accounts" {
    entity: "account", id: id: i64, version: version, columns: [owner, cents],
} }

/// Returns the SQL blocks of the page, in order.
fn steps() -> [&'static str; 4] {
    sql_of(include_str!("../../../../src/guide/existing_tables.md"))
}

async fn run(conn: &mut PgConnection, sql: &'static str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(sql).execute(conn).await.map(drop)
}

async fn table(rows: i64) -> Db {
    let db = Db::empty().await;
    let mut conn = db.pool.acquire().await.unwrap();
    run(
        &mut conn,
        "CREATE SCHEMA shop;
         CREATE TABLE shop.accounts (id bigint PRIMARY KEY, owner text NOT NULL, cents bigint NOT NULL)",
    )
    .await
    .unwrap();
    sqlx::query("INSERT INTO shop.accounts SELECT n, 'owner', 0 FROM generate_series(1, $1) AS n")
        .bind(rows)
        .execute(&mut *conn)
        .await
        .unwrap();
    db
}

/// Writes a row without regard to its version.
async fn old_write(pool: &PgPool, id: i64) {
    sqlx::query("UPDATE shop.accounts SET cents = cents + 1 WHERE id = $1")
        .bind(id)
        .execute(pool)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_table_is_neither_rewritten_nor_locked_for_long() {
    let db = table(300_000).await;
    let [column, constraint, ..] = steps();
    let file = "SELECT pg_relation_filenode('shop.accounts')::bigint";
    let before: i64 = sqlx::query_scalar(file).fetch_one(&db.pool).await.unwrap();
    let mut migration = PgConnection::connect_with(&db.database.options())
        .await
        .unwrap();

    // While a transaction that wrote the table is open, adding the column gives up, so that other writers
    // do not wait for it.
    let mut writer = db.pool.begin().await.unwrap();
    let touch = "UPDATE shop.accounts SET cents = 7 WHERE id = 1";
    sqlx::query(touch).execute(&mut *writer).await.unwrap();
    let gave_up = run(&mut migration, column).await.unwrap_err();
    let code = gave_up
        .as_database_error()
        .unwrap()
        .code()
        .unwrap()
        .into_owned();
    assert_eq!(code, "55P03");
    writer.commit().await.unwrap();
    run(&mut migration, column).await.unwrap();
    let after: i64 = sqlx::query_scalar(file).fetch_one(&db.pool).await.unwrap();
    assert_eq!(before, after, "the table was rewritten");

    // The check is added like the column, and validated while a transaction that wrote is open.
    let (add, validate) = constraint.split_once(";\n").unwrap();
    run(&mut migration, add).await.unwrap();
    let mut writer = db.pool.begin().await.unwrap();
    sqlx::query(touch).execute(&mut *writer).await.unwrap();
    run(&mut migration, validate).await.unwrap();
    old_write(&db.pool, 2).await;
    writer.commit().await.unwrap();

    let accounts = PgRepository::<Account>::new(db.pool.clone());
    accounts.verify().await.unwrap();
    let read = accounts.get(&1).await.unwrap();
    assert_eq!((read.cents, read.version), (7, Version::FIRST));
    accounts.update(&read).await.unwrap();
    let zero = "UPDATE shop.accounts SET version = 0 WHERE id = 3";
    assert!(sqlx::query(zero).execute(&db.pool).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trigger_counts_the_writes_of_old_writers() {
    let db = table(3).await;
    let [column, constraint, trigger, end] = steps();
    let mut conn = db.pool.acquire().await.unwrap();
    for step in [column, constraint, trigger] {
        run(&mut conn, step).await.unwrap();
    }
    run(&mut conn, "RESET lock_timeout").await.unwrap();
    let accounts = PgRepository::<Account>::new(db.pool.clone());

    let read = accounts.get(&1).await.unwrap();
    old_write(&db.pool, 1).await;
    assert!(accounts.update(&read).await.unwrap_err().is_conflict());
    let read = accounts.get(&1).await.unwrap();
    assert_eq!((read.cents, read.version.get()), (1, 2));
    assert_eq!(accounts.update(&read).await.unwrap().version.get(), 3);
    accounts.touch(&1, Version::new(3).unwrap()).await.unwrap();

    // An old writer stores the whole row that it once read, including the version.
    let stale = "UPDATE shop.accounts SET owner = 'old', cents = 0, version = 2 WHERE id = 1";
    let refused = Error::from(sqlx::query(stale).execute(&db.pool).await.unwrap_err());
    assert!(refused.is_conflict(), "{refused:?}");
    // Another old writer inserts or updates.
    let upsert = "INSERT INTO shop.accounts (id, owner, cents) VALUES (1, 'new', 9)
        ON CONFLICT (id) DO UPDATE SET owner = excluded.owner";
    sqlx::query(upsert).execute(&db.pool).await.unwrap();
    let read = accounts.get(&1).await.unwrap();
    assert_eq!(
        (&*read.owner, read.cents, read.version.get()),
        ("new", 1, 5)
    );

    // Concurrent old and new writers: each write advances the version, and no write is lost.
    let mut writers = JoinSet::new();
    for old in [true, true, true, true, false, false, false, false] {
        let (pool, accounts) = (db.pool.clone(), accounts.clone());
        writers.spawn(async move {
            let policy = RetryPolicy::new().with_deadline(Some(Duration::from_secs(60)));
            for _ in 0..50 {
                if old {
                    old_write(&pool, 2).await;
                } else {
                    let plus_one = |account: &mut Account| {
                        account.cents += 1;
                        Ok::<_, Error>(())
                    };
                    accounts.modify(&policy, &2, plus_one).await.unwrap();
                }
            }
        });
    }
    writers.join_all().await;
    let read = accounts.get(&2).await.unwrap();
    assert_eq!((read.cents, read.version.get()), (400, 401));

    sqlx::raw_sql(AssertSqlSafe(end))
        .execute(&db.pool)
        .await
        .unwrap();
    old_write(&db.pool, 3).await;
    assert_eq!(accounts.get(&3).await.unwrap().version, Version::FIRST);
    drop(conn);
    assert_idle(&db.pool).await;
}
