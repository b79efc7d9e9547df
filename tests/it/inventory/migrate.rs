//! Migrations that live beside the host's own.

use std::sync::Arc;

use async_trait::async_trait;
use optilock::{
    inventory::{Accepted, BoxError, Inventory, MigrateError, OnAccepted, PgInventory},
    migrate,
    sqlx::{self, AssertSqlSafe, Connection, Executor, PgConnection, migrate::Migrator},
};
use tokio::task::JoinSet;

use crate::{
    support::db::{Db, assert_books, pool_options, with_role},
    support::goods::{add, cart},
};

async fn works(db: &Db) {
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 1).await;
    shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    assert_books(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_at_once() {
    let db = Db::empty().await;
    let mut instances = JoinSet::new();
    for _ in 0..20 {
        let options = db.database.options();
        instances.spawn(async move {
            let pool = pool_options(1).connect_with(options).await.unwrap();
            migrate(&pool).await
        });
    }
    for outcome in instances.join_all().await {
        outcome.unwrap();
    }
    migrate(&db.pool).await.unwrap();
    let applied: Vec<i64> =
        sqlx::query_scalar("SELECT version FROM optilock._sqlx_migrations ORDER BY version")
            .fetch_all(&db.pool)
            .await
            .unwrap();
    // Each once.
    let known: Vec<i64> = (1..).take(applied.len()).collect();
    assert_eq!(applied, known);
    works(&db).await;
}

/// A database that the first version of the crate migrated.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_behind_the_crate() {
    let db = Db::new().await;
    let back = "DROP TABLE optilock.unfinished_sales, optilock.no_sales;
        DELETE FROM optilock._sqlx_migrations WHERE version = 2";
    sqlx::raw_sql(back).execute(&db.pool).await.unwrap();
    migrate(&db.pool).await.unwrap();
    let sales = "SELECT count(*) FROM optilock.unfinished_sales";
    let sales: i64 = sqlx::query_scalar(sales).fetch_one(&db.pool).await.unwrap();
    assert_eq!(sales, 0);
    works(&db).await;
}

/// The host's history is its own, and stays readable for its own migrator.
#[tokio::test(flavor = "multi_thread")]
async fn beside_a_hosts_own_migrations() {
    let db = Db::empty().await;
    let folder = std::env::temp_dir().join(format!("optilock-host-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(
        folder.join("1_shelves.sql"),
        "CREATE TABLE public.shelves (id int)",
    )
    .unwrap();
    let host = Migrator::new(folder.clone()).await.unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    // The host's connections have the search path that connections have by default.
    let pool = pool_options(2)
        .connect_with(db.database.options())
        .await
        .unwrap();
    host.run(&pool).await.unwrap();
    migrate(&pool).await.unwrap();
    host.run(&pool).await.unwrap();
    migrate(&pool).await.unwrap();
    let own: Vec<String> = sqlx::query_scalar("SELECT description FROM public._sqlx_migrations")
        .fetch_all(&pool)
        .await
        .unwrap();
    assert_eq!(own, ["shelves"]);
    works(&db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_ahead_of_the_crate() {
    let db = Db::new().await;
    sqlx::query(
        "INSERT INTO optilock._sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (99, 'from the future', true, '', 0)",
    )
    .execute(&db.pool)
    .await
    .unwrap();
    let refused = migrate(&db.pool).await.unwrap_err();
    assert!(
        matches!(refused, MigrateError::Ahead { found: 99, .. }),
        "{refused:?}"
    );
    assert!(refused.to_string().contains("update optilock"), "{refused}");
}

/// As another tool leaves it that runs a migration outside of a transaction and is stopped midway.
#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_failed_midway() {
    let db = Db::new().await;
    let fail = "UPDATE optilock._sqlx_migrations SET success = false WHERE version = 2";
    sqlx::query(fail).execute(&db.pool).await.unwrap();
    let refused = migrate(&db.pool).await.unwrap_err();
    let is_named = |error: &MigrateError| matches!(error, MigrateError::Failed { version: 2, .. });
    assert!(is_named(&refused), "{refused:?}");
    let message = refused.to_string();
    for part in [
        "migration 2 (unfinished sales)",
        "success",
        "delete the row",
    ] {
        assert!(message.contains(part), "{message}");
    }
    // What the error says is what helps.
    let repaired = "UPDATE optilock._sqlx_migrations SET success = true";
    sqlx::query(repaired).execute(&db.pool).await.unwrap();
    migrate(&db.pool).await.unwrap();
    works(&db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_that_was_changed() {
    let db = Db::new().await;
    sqlx::query("UPDATE optilock._sqlx_migrations SET checksum = 'x'")
        .execute(&db.pool)
        .await
        .unwrap();
    assert!(matches!(
        migrate(&db.pool).await.unwrap_err(),
        MigrateError::Modified(1)
    ));
}

/// With a pool of a role that owns nothing yet.
async fn as_role<T>(db: &Db, work: impl AsyncFnOnce(sqlx::PgPool, &str) -> T) -> T {
    with_role(&db.pool, async |role| {
        let options = db.database.options().username(role).password("secret");
        let pool = pool_options(2).connect_with(options).await.unwrap();
        let result = work(pool.clone(), role).await;
        pool.close().await;
        result
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_create() {
    let db = Db::empty().await;
    as_role(&db, async |pool, role| {
        let refused = migrate(&pool).await.unwrap_err();
        assert!(matches!(refused, MigrateError::NoSchema(_)), "{refused:?}");
        assert!(
            refused
                .to_string()
                .contains("CREATE SCHEMA optilock AUTHORIZATION"),
            "{refused}"
        );
        // What the error says is what helps.
        let mut owner = PgConnection::connect_with(&db.database.options())
            .await
            .unwrap();
        owner
            .execute(AssertSqlSafe(format!(
                "CREATE SCHEMA optilock AUTHORIZATION {role}"
            )))
            .await
            .unwrap();
        migrate(&pool).await.unwrap();
        migrate(&pool).await.unwrap();
        add(&PgInventory::new(pool), "pot", 1).await;
    })
    .await;
}

/// A hook that does nothing.
struct Idle;

#[async_trait]
impl OnAccepted for Idle {
    async fn on_accepted(&self, _: &mut PgConnection, _: &Accepted) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Tables made by an owner, used by an application that may not change them.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_only_reads_and_writes() {
    let db = Db::new().await;
    as_role(&db, async |pool, role| {
        for grant in [
            "USAGE ON SCHEMA optilock",
            "SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA optilock",
            "DELETE ON optilock.unfinished_sales",
        ] {
            db.pool
                .execute(AssertSqlSafe(format!("GRANT {grant} TO {role}")))
                .await
                .unwrap();
        }
        migrate(&pool).await.unwrap();
        let shop = PgInventory::new(pool.clone()).with_hook(Arc::new(Idle));
        add(&shop, "pot", 2).await;
        shop.checkout(cart(&[("pot", 1)])).await.unwrap();
        let mut tx = pool.begin().await.unwrap();
        shop.checkout_in(&mut tx, &cart(&[("pot", 1)]))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert!(
            shop.checkout(cart(&[("pot", 1)]))
                .await
                .unwrap_err()
                .is_insufficient_stock()
        );
    })
    .await;
}
