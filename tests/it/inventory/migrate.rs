//! Migrations of the schema of the crate, beside those of the host.

mod concurrent;
mod newer;
mod refused;
mod resumed;
mod roles;

use optilock::{
    inventory::{Inventory, MigrateError, PgInventory},
    migrate,
    sqlx::{self, PgPool, migrate::Migrator},
};
use tokio::task::JoinSet;

use crate::{
    support::db::{Db, assert_balanced, pool_options},
    support::goods::{add, cart},
    support::triggers::run,
};

/// Leaves what the first version of the crate had.
const OLDER: &str = "DROP INDEX IF EXISTS optilock.orders_of_customer;
    DELETE FROM optilock._sqlx_migrations WHERE version > 1";

/// Returns whether the index of the second migration exists and can be used.
async fn has_index(pool: &PgPool) -> bool {
    let valid = "SELECT EXISTS (SELECT FROM pg_index
        WHERE indexrelid = to_regclass('optilock.orders_of_customer') AND indisvalid)";
    sqlx::query_scalar(valid).fetch_one(pool).await.unwrap()
}

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

/// The database has the tables of the first version of the crate, with orders.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_an_older_version_is_migrated() {
    let db = Db::new().await;
    assert_usable(&db).await;
    run(&db.pool, OLDER).await;
    migrate(&db.pool).await.unwrap();
    assert!(has_index(&db.pool).await);
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
async fn a_changed_migration_is_refused() {
    let db = Db::new().await;
    run(
        &db.pool,
        "UPDATE optilock._sqlx_migrations SET checksum = 'x'",
    )
    .await;
    let refused = migrate(&db.pool).await.unwrap_err();
    assert!(
        matches!(&refused, MigrateError::Modified { schema, version: 1 } if schema == "optilock"),
        "{refused:?}"
    );
}

/// A database that an unreleased version has migrated, before there was one file.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_an_unreleased_version_is_converted_as_the_changelog_says() {
    const CHANGELOG: &str = include_str!("../../../CHANGELOG.md");
    let db = Db::new().await;
    assert_usable(&db).await;
    run(
        &db.pool,
        "ALTER TABLE optilock.returns DROP COLUMN skus, DROP COLUMN quantities;
         ALTER TABLE optilock.returns ADD COLUMN skus text[] NOT NULL DEFAULT '{pot}',
             ADD COLUMN quantities bigint[] NOT NULL DEFAULT '{1}';
         ALTER TABLE optilock.returns ALTER COLUMN skus DROP DEFAULT, ALTER COLUMN quantities DROP DEFAULT;
         INSERT INTO optilock.returns SELECT gen_random_uuid(), gen_random_uuid(), 'broken', now(), '{pot}', '{1}';
         DROP TABLE optilock.migration_state; DROP INDEX optilock.orders_of_customer;
         UPDATE optilock._sqlx_migrations SET checksum = 'x'",
    )
    .await;
    let refused = migrate(&db.pool).await.unwrap_err();
    assert!(
        matches!(refused, MigrateError::Modified { .. }),
        "{refused:?}"
    );
    let (_, rest) = CHANGELOG.split_once("these statements convert it").unwrap();
    let (_, rest) = rest.split_once("```sql\n").unwrap();
    let (statements, _) = rest.split_once("```").unwrap();
    run(&db.pool, statements).await;
    migrate(&db.pool).await.unwrap();
    assert!(has_index(&db.pool).await);
    let returned: String = sqlx::query_scalar("SELECT skus ->> 0 FROM optilock.returns")
        .fetch_one(&db.pool)
        .await
        .unwrap();
    assert_eq!(returned, "pot");
}
