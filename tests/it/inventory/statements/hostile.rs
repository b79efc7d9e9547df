//! Functions and operators that a hostile role created in `public`. No statement of the crate calls them.

mod checkouts;
mod failures;
mod orders;
pub mod planted;
mod products;
mod reservations;
mod trial;
mod versioned_rows;

use std::sync::Arc;

use optilock::{
    inventory::{BatchOptions, BatchedInventory, FeedPosition, Inventory, PgInventory},
    migrate,
    sqlx::{self, PgPool},
};

use failures::Failures;
use planted::among_hostile_code;
use trial::Trial;

use crate::{
    support::idle_hook::IdleHook,
    support::strategies::STRATEGIES,
    support::{
        SHUTDOWN,
        goods::{add, cart},
    },
};

/// Runs every operation of the inventory, with what makes it send further statements.
async fn run_all(
    label: &str,
    shop: &dyn Inventory,
    direct: &PgInventory,
    pool: &PgPool,
    failures: &mut Failures,
) {
    let trial = &Trial::new(label, shop, direct, pool).await;
    products::run(trial, failures).await;
    checkouts::run(trial, failures).await;
    orders::run(trial, failures).await;
    reservations::run(trial, failures).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_hostile_code_is_called() {
    let failures = among_hostile_code(async |db, pool| {
        let mut failures = Failures::default();
        migrate(&pool)
            .await
            .expect("the migrations call no hostile code");
        migrate(&pool)
            .await
            .expect("a migration without changes calls no hostile code");
        let direct = PgInventory::new(db.pool.clone());
        let shop = PgInventory::new(pool.clone());
        for strategy in STRATEGIES {
            let shop = shop.clone().with_strategy(strategy);
            let label = format!("{strategy:?}");
            run_all(&label, &shop, &direct, &db.pool, &mut failures).await;
        }
        let hooked = shop.clone().with_hook(Arc::new(IdleHook));
        run_all("hook", &hooked, &direct, &db.pool, &mut failures).await;
        for (label, options) in [
            ("BatchedInventory", BatchOptions::new()),
            ("batches", BatchOptions::new().always()),
        ] {
            let shop = BatchedInventory::new(shop.clone(), options);
            run_all(label, &shop, &direct, &db.pool, &mut failures).await;
            shop.shutdown(SHUTDOWN).await.unwrap();
        }
        add(&direct, "pot", 50).await;
        let feed = shop.movements_since(&FeedPosition::START, 10).await;
        failures.note("feed", feed);
        let mut transaction = pool.begin().await.unwrap();
        let hooked = hooked
            .checkout_in(&mut transaction, &cart(&[("pot", 1)]))
            .await;
        failures.note("checkout_in with a hook", hooked);
        drop(transaction.commit().await);
        versioned_rows::run(&pool, &mut failures).await;
        failures.0
    })
    .await;
    assert!(
        failures.is_empty(),
        "{} operations call hostile code:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

/// The statements show that [`no_hostile_code_is_called`] can fail.
#[tokio::test(flavor = "multi_thread")]
async fn an_unqualified_name_calls_hostile_code() {
    among_hostile_code(async |_, pool| {
        for planted in [
            "SELECT cardinality(ARRAY['a']::text[])",
            "SELECT 1::bigint - 1::numeric",
            "SELECT coalesce(1::smallint IN (0.5), false)",
            "SELECT 'a'::text || 1::bigint",
            "SELECT 1::bigint * interval '1 second'",
            "SELECT sum(1::numeric * 2::bigint)",
            "SELECT generate_subscripts(ARRAY['a']::text[], 1)",
            "SELECT CASE 1::smallint WHEN 0.5 THEN 1 END",
            "SELECT nullif(1::bigint, 1::numeric)",
            "SELECT 1::bigint IS DISTINCT FROM 1::numeric",
        ] {
            let error = sqlx::query(planted).execute(&pool).await.unwrap_err();
            let error = error.to_string();
            assert!(
                error.contains("hostile code was called"),
                "{planted}: {error}"
            );
        }
        for qualified in [
            "SELECT pg_catalog.cardinality(ARRAY['a']::text[])",
            "SELECT 1::smallint = 1, 1::bigint + 1, 1::bigint::numeric - 1::numeric",
            "SELECT 2::float8 * interval '1 second'",
        ] {
            sqlx::query(qualified).execute(&pool).await.unwrap();
        }
    })
    .await;
}
