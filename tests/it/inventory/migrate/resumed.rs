//! A process that is killed, or loses its connection, between two steps of a migration: the next one continues.

use optilock::{inventory::PgInventory, migrate, sqlx};

use super::{OLDER, assert_usable, has_index, run};
use crate::support::{
    connect::pool_of,
    db::{Db, assert_balanced, assert_idle},
    goods::{add, cart},
    polling::PollAtMost,
};
use optilock::inventory::Inventory;

/// The mark that the schema is one of the crate's.
const STATE: &str = "CREATE TABLE optilock.migration_state (
    id smallint PRIMARY KEY CHECK (id = 1), readable_since bigint NOT NULL, holder uuid, held_until timestamptz)";

const FIRST: &str = include_str!("../../../../migrations/0001_inventory.sql");

/// A process was killed after each of the steps, and another tool had recorded the migration as unfinished.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_was_killed_after_a_step_is_continued() {
    let steps: Vec<_> = FIRST.split_inclusive(";\n").collect();
    assert!(steps.len() > 15, "{} steps", steps.len());
    for made in 0..=steps.len() {
        let db = Db::empty().await;
        run(&db.pool, "CREATE SCHEMA optilock").await;
        run(&db.pool, STATE).await;
        for step in &steps[..made] {
            run(&db.pool, *step).await;
        }
        migrate(&db.pool).await.unwrap();
        assert_usable(&db).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_migration_is_continued() {
    let db = Db::new().await;
    run(
        &db.pool,
        "DROP TABLE optilock.outbox; DROP INDEX optilock.orders_of_customer;
         UPDATE optilock._sqlx_migrations SET success = false",
    )
    .await;
    migrate(&db.pool).await.unwrap();
    assert!(has_index(&db.pool).await);
    let unfinished = "SELECT count(*) FROM optilock._sqlx_migrations WHERE NOT success";
    let unfinished: i64 = sqlx::query_scalar(unfinished)
        .fetch_one(&db.pool)
        .await
        .unwrap();
    assert_eq!(unfinished, 0);
    let shop = PgInventory::new(db.pool.clone()).with_outbox();
    add(&shop, "pot", 1).await;
    shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    assert_balanced(&db.pool).await;
}

/// The future is dropped after each of its polls: its sessions end, and its lease expires.
#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_was_dropped_is_continued() {
    for polls in (1..).step_by(7) {
        assert!(polls < 1_000, "it does not end");
        let db = Db::empty().await;
        let pool = pool_of(&db, 2).await;
        let done = PollAtMost(Box::pin(migrate(&pool)), polls).await.is_some();
        assert_idle(&db.pool).await;
        run(
            &db.pool,
            "DO $$ BEGIN IF to_regclass('optilock.migration_state') IS NOT NULL THEN
                 UPDATE optilock.migration_state SET held_until = '-infinity'; END IF; END $$",
        )
        .await;
        migrate(&db.pool).await.unwrap();
        assert!(has_index(&db.pool).await);
        assert_usable(&db).await;
        if done {
            break;
        }
    }
}

/// A build that fails leaves an index that no query uses, and `IF NOT EXISTS` takes it for the index.
#[tokio::test(flavor = "multi_thread")]
async fn an_index_whose_build_failed_is_built_again() {
    let db = Db::new().await;
    assert_usable(&db).await;
    run(&db.pool, OLDER).await;
    let mut older = db.pool.begin().await.unwrap();
    sqlx::query("INSERT INTO optilock.outbox (order_id) SELECT id FROM optilock.orders LIMIT 1")
        .execute(&mut *older)
        .await
        .unwrap();
    // The build waits for every transaction that writes the table.
    sqlx::query("LOCK TABLE optilock.orders IN ROW EXCLUSIVE MODE")
        .execute(&mut *older)
        .await
        .unwrap();
    let mut conn = db.pool.acquire().await.unwrap().detach();
    for (statement, succeeds) in [
        ("SET lock_timeout = '20ms'", true),
        (
            "CREATE INDEX CONCURRENTLY orders_of_customer ON optilock.orders (customer, id)",
            false,
        ),
    ] {
        let done = sqlx::raw_sql(statement).execute(&mut conn).await;
        assert_eq!(done.is_ok(), succeeds, "{done:?}");
    }
    older.rollback().await.unwrap();
    let exists = "SELECT to_regclass('optilock.orders_of_customer') IS NOT NULL";
    let exists: bool = sqlx::query_scalar(exists)
        .fetch_one(&db.pool)
        .await
        .unwrap();
    assert!(exists && !has_index(&db.pool).await, "it is invalid");
    migrate(&db.pool).await.unwrap();
    assert!(has_index(&db.pool).await);
}
