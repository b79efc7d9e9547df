//! Rows that a clean-up can't clean up, for reasons of every kind: they end no call and keep no other row.

use std::time::{Duration, Instant};

use optilock::{
    RetryPolicy,
    inventory::{Inventory, PgInventory, Reserve},
    sqlx::{self, AssertSqlSafe, PgPool},
};
use tokio::time::timeout;

use crate::{
    support::db::{Db, eventually, pool_options},
    support::goods::{add, cart, sku, stock_of, units},
};

const QUICK: RetryPolicy = RetryPolicy::new()
    .with_max_attempts(2)
    .with_base_delay(Duration::from_millis(1));

async fn run(pool: &PgPool, sql: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(pool);
    done.await.unwrap();
}

/// Every change of the product "bad" ends as this PL/pgSQL does.
async fn poison(pool: &PgPool, body: &str) {
    let trigger = format!(
        "CREATE FUNCTION public.poison() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NEW; END $$;
         CREATE TRIGGER poison BEFORE UPDATE ON optilock.products FOR EACH ROW
             WHEN (NEW.sku = 'bad') EXECUTE FUNCTION public.poison()"
    );
    run(pool, &trigger).await;
}

/// An order of the product "bad", the oldest, and others.
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
async fn a_row_is_refused_whatever_its_code() {
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

/// Nothing can be cleaned up: that is said.
#[tokio::test(flavor = "multi_thread")]
async fn what_fails_for_every_row_fails_the_call() {
    let db = Db::new().await;
    drop(shop(&db, 30).await);
    run(
        &db.pool,
        "CREATE ROLE optilock_reader; GRANT USAGE ON SCHEMA optilock TO optilock_reader;
        GRANT SELECT ON ALL TABLES IN SCHEMA optilock TO optilock_reader",
    )
    .await;
    let pool = pool_options(2)
        .connect_with(db.database.options().options([("role", "optilock_reader")]))
        .await
        .unwrap();
    let reader = PgInventory::new(pool).with_policy(QUICK);
    let refused = reader.cleanup_failed_orders(Duration::ZERO).await;
    let drop = "DROP OWNED BY optilock_reader; DROP ROLE optilock_reader";
    run(&db.pool, drop).await;
    assert_eq!(refused.unwrap_err().code(), "database");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_slow_row_keeps_no_other() {
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

/// Skipped as its product is locked, and then refused: it does not come again for ever.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_locked_and_is_then_refused_ends() {
    let db = Db::new().await;
    drop(shop(&db, 0).await);
    let options = db.database.options().application_name("cleaner");
    let pool = pool_options(1).connect_with(options).await.unwrap();
    // At this pace it rests for a second after it has skipped the order.
    let shop = PgInventory::new(pool).with_cleanup_rate_limit(Some(1));
    poison(&db.pool, "RAISE EXCEPTION 'no';").await;
    let mut holder = db.pool.begin().await.unwrap();
    sqlx::query("SELECT FROM optilock.products FOR UPDATE")
        .execute(&mut *holder)
        .await
        .unwrap();
    let cleaning = tokio::spawn(async move { shop.cleanup_failed_orders(Duration::ZERO).await });
    eventually("it has skipped the order", async || {
        let rests = "SELECT EXISTS (SELECT FROM pg_stat_activity
            WHERE application_name = 'cleaner' AND state = 'idle' AND query ILIKE 'COMMIT%'
                AND datname = current_database())";
        sqlx::query_scalar(rests).fetch_one(&db.pool).await.unwrap()
    })
    .await;
    holder.rollback().await.unwrap();
    let done = timeout(Duration::from_secs(20), cleaning).await;
    let done = done.expect("it does not end").unwrap().unwrap();
    assert_eq!((done.orders, done.refused, done.skipped), (0, 1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_product_that_was_deleted_are_named() {
    let db = Db::new().await;
    let shop = shop(&db, 3).await;
    let held = Reserve::new([(sku("bad"), units(1))]).unwrap();
    shop.reserve(held).await.unwrap();
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
