//! Clean-ups of rows that the database refuses: such a row ends no call and delays no other row.

use std::time::{Duration, Instant};

use optilock::{
    RetryPolicy,
    inventory::{Inventory, PgInventory, Reserve},
    sqlx::{self, PgPool},
};
use tokio::time::timeout;

use crate::support::{
    db::{Db, assert_balanced, eventually, pool_options, with_role},
    goods::{add, cart, sku, stock_of, units},
    triggers::{add_trigger, run},
};

const QUICK: RetryPolicy = RetryPolicy::new()
    .with_max_attempts(2)
    .with_base_delay(Duration::from_millis(1));

/// Runs PL/pgSQL before each change of the product "bad".
async fn poison(pool: &PgPool, body: &str) {
    let body = format!("{body} RETURN NEW;");
    let when = "WHEN (NEW.sku = 'bad')";
    add_trigger(pool, "products", "UPDATE", &body, when).await;
}

/// Returns an inventory with an order of the product "bad", the oldest, and `others` of another product.
async fn shop(db: &Db, others: u32) -> PgInventory {
    let shop = PgInventory::new(db.pool.clone()).with_policy(QUICK);
    for name in ["bad", "pot"] {
        add(&shop, name, 10_000).await;
    }
    shop.checkout(cart(&[("bad", 1)])).await.unwrap();
    for _ in 0..others {
        shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    }
    shop
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_refused_whatever_the_error_code() {
    for code in [
        "P0001", "23514", "40001", "40P01", "55P03", "57014", "42501", "0A000", "XX000", "25006",
        "38000", "53400", "57P01", "08006", "21000", "42P01",
    ] {
        let db = Db::new().await;
        let shop = shop(&db, 5).await;
        poison(
            &db.pool,
            &format!("RAISE EXCEPTION 'no' USING ERRCODE = '{code}';"),
        )
        .await;
        let done = shop.cleanup_failed_orders(Duration::ZERO).await;
        let done = done.unwrap_or_else(|error| panic!("{code}: {error:?}"));
        assert_eq!(
            (done.orders, done.refused, done.skipped),
            (5, 1, 0),
            "{code}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_up_that_fails_for_every_row_is_an_error() {
    let db = Db::new().await;
    drop(shop(&db, 30).await);
    with_role(&db.pool, async |role| {
        let grant = format!(
            "GRANT USAGE ON SCHEMA optilock TO {role};
             GRANT SELECT ON ALL TABLES IN SCHEMA optilock TO {role}"
        );
        run(&db.pool, grant).await;
        let options = db.database.options().options([("role", role)]);
        let pool = pool_options(2).connect_with(options).await.unwrap();
        let reader = PgInventory::new(pool.clone()).with_policy(QUICK);
        let refused = reader.cleanup_failed_orders(Duration::ZERO).await;
        assert_eq!(refused.unwrap_err().code(), "database");
        pool.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_row_delays_no_other() {
    let db = Db::new().await;
    let shop = shop(&db, 60).await;
    poison(&db.pool, "PERFORM pg_sleep(2);").await;
    let options = db.database.options();
    let options = options.options([("statement_timeout", "200ms")]);
    let pool = pool_options(4).connect_with(options).await.unwrap();
    let impatient = PgInventory::new(pool).with_policy(QUICK);
    let done = impatient
        .cleanup_failed_orders(Duration::ZERO)
        .await
        .unwrap();
    assert_eq!((done.orders, done.refused), (60, 1));
    assert_eq!(stock_of(&shop, "pot").await, 10_000);
}

/// The row is skipped as its product is locked, and refused after that.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_was_locked_and_is_then_refused_ends_the_call() {
    let db = Db::new().await;
    drop(shop(&db, 0).await);
    let options = db.database.options().application_name("cleaner");
    let pool = pool_options(1).connect_with(options).await.unwrap();
    // At this rate the clean-up pauses for a second after it has skipped the order.
    let shop = PgInventory::new(pool).with_cleanup_rate_limit(Some(1));
    poison(&db.pool, "RAISE EXCEPTION 'no';").await;
    let mut holder = db.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM optilock.products FOR UPDATE")
        .execute(&mut *holder)
        .await
        .unwrap();
    let cleaning = tokio::spawn(async move { shop.cleanup_failed_orders(Duration::ZERO).await });
    eventually("the clean-up has skipped the order", async || {
        let paused = "SELECT EXISTS (SELECT FROM pg_stat_activity
            WHERE application_name = 'cleaner' AND state = 'idle' AND query ILIKE 'COMMIT%'
                AND datname = current_database())";
        sqlx::query_scalar(paused)
            .fetch_one(&db.pool)
            .await
            .unwrap()
    })
    .await;
    holder.rollback().await.unwrap();
    let done = timeout(Duration::from_secs(20), cleaning).await;
    let done = done.expect("the clean-up ends").unwrap().unwrap();
    assert_eq!((done.orders, done.refused, done.skipped), (0, 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_deleted_product_are_reported_as_refused() {
    let db = Db::new().await;
    let shop = shop(&db, 3).await;
    let request = Reserve::new([(sku("bad"), units(1))]).unwrap();
    shop.reserve(request).await.unwrap();
    run(
        &db.pool,
        "UPDATE optilock.holds SET expires_at = now() - interval '1 hour';
         DELETE FROM optilock.products WHERE sku = 'bad'",
    )
    .await;
    let started = Instant::now();
    let done = shop.cleanup_failed_orders(Duration::ZERO).await.unwrap();
    assert_eq!((done.orders, done.refused, done.skipped), (3, 1, 0));
    let done = shop.cleanup_reservations().await.unwrap();
    assert_eq!((done.holds, done.refused, done.skipped), (0, 1, 0));
    assert!(started.elapsed() < Duration::from_secs(2), "late");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_refused_orders_do_not_stop_the_cancellation_of_others() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 10_000).await;
    for number in 0..600 {
        let customer = if number % 4 == 0 { "bad" } else { "good" };
        let cart = cart(&[("pot", 1)]).with_customer(customer);
        shop.checkout(cart).await.unwrap();
    }
    run(
        &db.pool,
        "ALTER TABLE optilock.orders ADD CONSTRAINT hosts CHECK (customer <> 'bad' OR status <> 3)",
    )
    .await;
    let done = shop.cleanup_failed_orders(Duration::ZERO).await.unwrap();
    assert_eq!((done.orders, done.refused), (450, 150));
    assert_balanced(&db.pool).await;
}

/// A trigger of the host raises a serialization failure every time.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_always_conflicts_is_refused() {
    let db = Db::new().await;
    let policy = RetryPolicy::new()
        .with_max_attempts(2)
        .with_base_delay(Duration::ZERO);
    let shop = PgInventory::new(db.pool.clone()).with_policy(policy);
    add(&shop, "pot", 100).await;
    for customer in ["ana", "bad", "eva"] {
        let cart = cart(&[("pot", 1)]).with_customer(customer);
        shop.checkout(cart).await.unwrap();
    }
    let refuse = "RAISE EXCEPTION 'never' USING ERRCODE = '40001';";
    let when = "WHEN (NEW.customer = 'bad')";
    add_trigger(&db.pool, "orders", "UPDATE", refuse, when).await;
    let done = shop.cleanup_failed_orders(Duration::ZERO).await.unwrap();
    assert_eq!((done.orders, done.refused), (2, 1));
}
