//! Cleanup while another session holds the lock of a product.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use optilock::{
    RetryPolicy,
    inventory::{Cleanup, Inventory, OrderId, PgInventory},
    sqlx::{self, PgPool, PgTransaction},
};
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::{OLD, add_unpaid_orders, due_orders, latencies, spawn_buyers};
use crate::{
    support::db::{Db, Default, assert_balanced, eventually},
    support::triggers::run,
};

/// Locks the product `p0`.
async fn lock_p0(pool: &PgPool) -> PgTransaction<'static> {
    let mut holder = pool.begin().await.unwrap();
    let lock = "SELECT sku FROM optilock.products WHERE sku = 'p0' FOR UPDATE";
    sqlx::query(lock).execute(&mut *holder).await.unwrap();
    holder
}

/// Pays up to 100 orders, one every 20 ms, until `stop`. Returns the durations of the payments, and the
/// number of orders that were paid before their cancellation.
async fn spawn_payments(
    shop: &PgInventory,
    pool: &PgPool,
    stop: &Arc<AtomicBool>,
) -> JoinHandle<(Vec<Duration>, u64)> {
    let (shop, stop) = (shop.clone(), Arc::clone(stop));
    let ids: Vec<Uuid> = sqlx::query_scalar("SELECT id FROM public.made ORDER BY n % 300, n")
        .fetch_all(pool)
        .await
        .unwrap();
    tokio::spawn(async move {
        let (mut times, mut paid) = (Vec::new(), 0);
        for id in ids.into_iter().take(100) {
            if stop.load(Relaxed) {
                break;
            }
            let start = Instant::now();
            paid += u64::from(shop.mark_paid(OrderId::from(id)).await.is_ok());
            times.push(start.elapsed());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        (times, paid)
    })
}

/// Repeats the cleanup until no order is due. Returns the sum of the results.
fn spawn_cleanup(shop: &PgInventory, pool: &PgPool) -> JoinHandle<Cleanup> {
    let (shop, pool) = (shop.clone(), pool.clone());
    tokio::spawn(async move {
        let mut all = Cleanup::default();
        while due_orders(&pool).await > 0 {
            all = all.plus(shop.cleanup_failed_orders(OLD).await.unwrap());
        }
        all
    })
}

/// Cleans up due orders while another session holds the product of the oldest tenth. `strict` sets the
/// limits for a machine without other load.
async fn assert_one_locked_product_delays_no_other(orders: u32, hold_for: Duration, strict: bool) {
    let db = Db::with(Default::ReadCommitted, 32).await;
    add_unpaid_orders(&db.pool, orders, 1_000, orders / 10).await;
    let shop = PgInventory::new(db.pool.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let holder = lock_p0(&db.pool).await;
    let held = Instant::now();
    let buyers = spawn_buyers(&shop, 4, 1..1_000, &stop);
    let payments = spawn_payments(&shop, &db.pool, &stop).await;
    let locked_orders = i64::from(orders / 10);
    let cleanup = spawn_cleanup(&shop, &db.pool);
    let start = Instant::now();
    eventually("the orders of other products are cancelled", async || {
        due_orders(&db.pool).await <= locked_orders
    })
    .await;
    let others = start.elapsed();
    println!("orders of other products after {others:?}");
    tokio::time::sleep(hold_for.saturating_sub(held.elapsed())).await;
    assert!(due_orders(&db.pool).await > 0);
    let released = Instant::now();
    holder.rollback().await.unwrap();
    eventually("the remaining orders are cancelled", async || {
        due_orders(&db.pool).await == 0
    })
    .await;
    let rest = released.elapsed();
    println!("the remaining orders {rest:?} after the release");
    stop.store(true, Relaxed);
    let sold = buyers.join_all().await.into_iter().flatten().collect();
    let ((paying, paid), done) = (payments.await.unwrap(), cleanup.await.unwrap());
    let (sold, paying) = (latencies(sold), latencies(paying));
    println!("checkouts {sold:?}, payments {paying:?}, {done:?}");
    assert_eq!(done.orders + paid, u64::from(orders));
    let within = |limit: u64| Duration::from_millis(if strict { limit } else { limit * 5 });
    assert!(others <= within(2_000) && rest <= within(2_000));
    for (max, p99) in [sold, paying] {
        assert!(p99 <= within(100) && max <= within(250), "{max:?} {p99:?}");
    }
    assert_balanced(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_locked_product_delays_no_other() {
    assert_one_locked_product_delays_no_other(600, Duration::from_secs(2), false).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes 12 seconds, and its limits need a machine without other load"]
async fn one_locked_product_delays_no_other_with_3_000_orders() {
    assert_one_locked_product_delays_no_other(3_000, Duration::from_secs(10), true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_of_a_locked_product_are_skipped_at_the_deadline() {
    let db = Db::new().await;
    add_unpaid_orders(&db.pool, 300, 100, 30).await;
    run(
        &db.pool,
        "UPDATE optilock.products SET stock = 1000000 WHERE sku IN ('p98', 'p99')",
    )
    .await;
    for policy in [
        RetryPolicy::new().with_deadline(Some(Duration::from_millis(300))),
        RetryPolicy::new().with_deadline(None),
    ] {
        let shop = PgInventory::new(db.pool.clone()).with_policy(policy);
        let holder = lock_p0(&db.pool).await;
        let start = Instant::now();
        let done = shop.cleanup_failed_orders(OLD).await.unwrap();
        assert_eq!(done.skipped, 30, "{done:?}");
        assert!(start.elapsed() < Duration::from_secs(20));
        assert_eq!(due_orders(&db.pool).await, 30);
        holder.rollback().await.unwrap();
    }
    let done = PgInventory::new(db.pool.clone())
        .cleanup_failed_orders(OLD)
        .await;
    let done = done.unwrap();
    assert_eq!((done.orders, done.skipped), (30, 0));
}
