//! Migrations and operations as roles with few privileges.

use std::sync::Arc;

use optilock::{
    inventory::{Inventory, MigrateError, PgInventory},
    migrate,
    sqlx::{self, AssertSqlSafe, Connection, Executor, PgConnection},
};

use crate::{
    support::db::{Db, pool_options, with_role},
    support::goods::{add, cart},
    support::idle_hook::IdleHook,
};

/// Runs `work` with the pool of a new role, which owns nothing.
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
async fn the_error_for_a_role_without_create_names_the_repair() {
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
        // The repair that the error names.
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

/// The tables belong to another role.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_ddl_privileges_can_use_the_inventory() {
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
        let shop = PgInventory::new(pool.clone()).with_hook(Arc::new(IdleHook));
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
