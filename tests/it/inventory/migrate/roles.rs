//! Migrations and operations as roles with few privileges.

use std::sync::Arc;

use optilock::{
    Class, Classify,
    inventory::{Error, Inventory, MigrateError, OutboxPosition, PgInventory},
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
        assert!(
            matches!(refused, MigrateError::NoSchema { .. }),
            "{refused:?}"
        );
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

/// The outbox needs privileges of its own, and the error names what is missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_without_privileges_on_the_outbox_gets_an_error_that_names_it() {
    let db = Db::new().await;
    as_role(&db, async |pool, role| {
        let grant = async |grant: &str| {
            let grant = AssertSqlSafe(format!("GRANT {grant} TO {role}"));
            db.pool.execute(grant).await.unwrap();
        };
        grant("USAGE ON SCHEMA optilock").await;
        grant("SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA optilock").await;
        let revoke = AssertSqlSafe(format!("REVOKE ALL ON optilock.outbox FROM {role}"));
        db.pool.execute(revoke).await.unwrap();
        let plain = PgInventory::new(pool.clone());
        let shop = plain.clone().with_outbox();
        add(&shop, "mug", 9).await;
        add(&shop, "pot", 9).await;
        let assert_named = |error: Error| {
            assert_eq!((error.code(), error.http_status()), ("database", 500));
            assert_eq!(error.class(), Class::Permanent);
            assert!(error.to_string().contains("lacks a privilege"), "{error}");
            let source = std::error::Error::source(&error).unwrap().to_string();
            assert!(source.contains("outbox"), "{source}");
        };
        for request in [cart(&[("pot", 1)]), cart(&[("mug", 1), ("pot", 1)])] {
            assert_named(shop.checkout(request).await.unwrap_err());
        }
        plain.checkout(cart(&[("pot", 1)])).await.unwrap();
        let start = OutboxPosition::START;
        assert_named(shop.outbox_since(&start, 9).await.unwrap_err());
        grant("SELECT, INSERT ON optilock.outbox").await;
        shop.checkout(cart(&[("pot", 1)])).await.unwrap();
        shop.checkout(cart(&[("mug", 1), ("pot", 1)]))
            .await
            .unwrap();
        shop.outbox_since(&start, 9).await.unwrap();
        assert_named(shop.acknowledge_outbox(&start).await.unwrap_err());
        grant("UPDATE, DELETE ON optilock.outbox").await;
        shop.acknowledge_outbox(&start).await.unwrap();
    })
    .await;
}
