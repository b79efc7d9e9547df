//! Migrations of the schema of the crate, beside those of the host.

mod roles;

use optilock::{
    inventory::{Inventory, MigrateError, PgInventory},
    migrate,
    sqlx::{self, migrate::Migrator},
};
use tokio::task::JoinSet;

use crate::{
    support::db::{Db, assert_balanced, order_count, pool_options},
    support::goods::{add, cart},
};

/// Asserts that a product can be added and bought.
pub async fn assert_usable(db: &Db) {
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 1).await;
    shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    assert_balanced(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_migrations_apply_each_version_once() {
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
    let known: Vec<i64> = (1..).take(applied.len()).collect();
    assert_eq!(applied, known);
    assert_usable(&db).await;
}

/// The database has the tables of the first version of the crate.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_an_older_version_is_migrated() {
    let db = Db::new().await;
    let downgrade = "DROP TABLE optilock.unfinished_sales, optilock.no_sales;
        DELETE FROM optilock._sqlx_migrations WHERE version = 2";
    sqlx::raw_sql(downgrade).execute(&db.pool).await.unwrap();
    migrate(&db.pool).await.unwrap();
    let sales = "SELECT count(*) FROM optilock.unfinished_sales";
    let sales: i64 = sqlx::query_scalar(sales).fetch_one(&db.pool).await.unwrap();
    assert_eq!(sales, 0);
    assert_usable(&db).await;
}

/// The database is at the migration before the outbox, and processes of that version sell meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn the_outbox_is_added_to_a_database_with_orders() {
    let db = Db::new().await;
    let downgrade = "DROP TABLE optilock.outbox;
        DELETE FROM optilock._sqlx_migrations WHERE version = 4";
    sqlx::raw_sql(downgrade).execute(&db.pool).await.unwrap();
    let plain = PgInventory::new(db.pool.clone());
    let shop = plain.clone().with_outbox();
    add(&plain, "mug", 9).await;
    add(&plain, "pot", 9).await;
    plain.checkout(cart(&[("pot", 1)])).await.unwrap();
    for request in [cart(&[("pot", 1)]), cart(&[("mug", 1), ("pot", 1)])] {
        let refused = shop.checkout(request).await.unwrap_err();
        let source = std::error::Error::source(&refused).unwrap().to_string();
        assert!(source.contains("optilock.outbox"), "{source}");
    }
    // A transaction that sells while the migration runs is not waited for.
    let mut open = db.pool.begin().await.unwrap();
    let request = cart(&[("mug", 1), ("pot", 1)]);
    plain.checkout_in(&mut open, &request).await.unwrap();
    migrate(&db.pool).await.unwrap();
    open.commit().await.unwrap();
    // Orders from before have no entry.
    plain.checkout(cart(&[("pot", 1)])).await.unwrap();
    let order = shop.checkout(cart(&[("mug", 1)])).await.unwrap();
    let entries: Vec<sqlx::types::Uuid> =
        sqlx::query_scalar("SELECT order_id FROM optilock.outbox")
            .fetch_all(&db.pool)
            .await
            .unwrap();
    assert_eq!(entries, [order.id.uuid()]);
    assert_eq!(order_count(&db.pool).await, 4);
    assert_balanced(&db.pool).await;
}

/// The migrator of the host keeps its own history table.
#[tokio::test(flavor = "multi_thread")]
async fn the_migrations_of_the_host_are_independent() {
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
    // The connections of the host have the default search path.
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
    assert_usable(&db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_newer_version_is_refused() {
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

/// Another tool ran a migration outside of a transaction and stopped midway.
#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_migration_is_refused_until_it_is_repaired() {
    let db = Db::new().await;
    let fail = "UPDATE optilock._sqlx_migrations SET success = false WHERE version = 2";
    sqlx::query(fail).execute(&db.pool).await.unwrap();
    let refused = migrate(&db.pool).await.unwrap_err();
    let names_it = |error: &MigrateError| matches!(error, MigrateError::Failed { version: 2, .. });
    assert!(names_it(&refused), "{refused:?}");
    let message = refused.to_string();
    for part in [
        "migration 2 (unfinished sales)",
        "success",
        "delete the row",
    ] {
        assert!(message.contains(part), "{message}");
    }
    // The repair that the error names.
    let repaired = "UPDATE optilock._sqlx_migrations SET success = true";
    sqlx::query(repaired).execute(&db.pool).await.unwrap();
    migrate(&db.pool).await.unwrap();
    assert_usable(&db).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_migration_is_refused() {
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
