//! Cleanup beside locks, backlogs and rows that the database refuses.

mod backlog;
mod busy_product;
mod concurrent_payments;
mod locked_product;
mod refused_rows;

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use optilock::{
    inventory::{Inventory, PgInventory},
    sqlx::{self, PgPool},
};
use tokio::task::JoinSet;

use crate::{support::goods::cart, support::triggers::run};

/// The age from which an unpaid order is cancelled.
const OLD: Duration = Duration::from_secs(60);

/// Adds unpaid orders of one unit, an hour old, with consistent movements. Order 0 is the oldest. The first
/// `first` orders are of the product `p0`, the others of the other `products`, in turn. The table
/// `public.made` has the id and the number of each order.
async fn add_unpaid_orders(pool: &PgPool, orders: u32, products: u32, first: u32) {
    run(
        pool,
        format!(
            "CREATE TABLE public.made AS SELECT gen_random_uuid() AS id, n,
                 'p' || CASE WHEN n < {first} THEN 0 ELSE 1 + n % ({products} - 1) END AS sku
             FROM generate_series(0, {orders} - 1) AS n;
         INSERT INTO optilock.products (sku, name, price, currency, stock)
             SELECT 'p' || n, 'p', 100, 'MXN', 1000000 FROM generate_series(0, {products} - 1) AS n;
         INSERT INTO optilock.movements (sku, version, kind, delta, stock_after)
             SELECT sku, 1, 8, stock, stock FROM optilock.products;
         INSERT INTO optilock.orders (id, total, currency, created_at, pending_since)
             SELECT id, 100, 'MXN', at, at FROM public.made, LATERAL (
                 SELECT now() - interval '1 hour' + n * interval '1 millisecond' AS at) t;
         INSERT INTO optilock.order_lines (order_id, sku, quantity, price)
             SELECT id, sku, 1, 100 FROM public.made;
         INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id)
             SELECT sku, 1 + k, 1, -1, 1000000 - k, id FROM (
                 SELECT *, row_number() OVER (PARTITION BY sku ORDER BY n) AS k FROM public.made) m;
         UPDATE optilock.products p SET stock = p.stock - m.count, version = 1 + m.count
             FROM (SELECT sku, count(*) FROM public.made GROUP BY sku) m WHERE m.sku = p.sku;
         ANALYZE"
        ),
    )
    .await;
}

/// Adds holds of one unit, which expired an hour ago, to a product without other holds.
async fn add_expired_holds(pool: &PgPool, name: &str, holds: u32) {
    run(
        pool,
        format!(
            "CREATE TEMP TABLE held AS SELECT gen_random_uuid() AS id, n FROM generate_series(1, {holds}) n;
         INSERT INTO optilock.reservations (id, remaining) SELECT id, 1 FROM held;
         INSERT INTO optilock.holds (reservation_id, sku, quantity, held, expires_at)
             SELECT id, '{name}', 1, 1, now() - interval '1 hour' FROM held;
         INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, reservation_id)
             SELECT '{name}', p.version + n, 4, 0, p.stock, held.id
             FROM held, optilock.products p WHERE p.sku = '{name}';
         UPDATE optilock.products SET reserved = {holds}, version = version + {holds} WHERE sku = '{name}';
         DROP TABLE held; ANALYZE"
        ),
    )
    .await;
}

/// Returns the number of orders that a cleanup has to cancel.
async fn due_orders(pool: &PgPool) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM optilock.orders WHERE status IN (0, 1) AND pending_since < now() - interval '30 minutes'")
        .fetch_one(pool)
        .await
        .unwrap()
}

/// Returns the longest and the 99th percentile.
fn latencies(mut times: Vec<Duration>) -> (Duration, Duration) {
    times.sort();
    assert!(!times.is_empty());
    (times[times.len() - 1], times[times.len() * 99 / 100])
}

/// Spawns buyers of random products of this range, until `stop`. Each returns the durations of its
/// checkouts.
fn spawn_buyers(
    shop: &PgInventory,
    count: usize,
    skus: Range<u32>,
    stop: &Arc<AtomicBool>,
) -> JoinSet<Vec<Duration>> {
    let mut buyers = JoinSet::new();
    for _ in 0..count {
        let (shop, stop, skus) = (shop.clone(), Arc::clone(stop), skus.clone());
        buyers.spawn(async move {
            let mut times = Vec::new();
            while !stop.load(Relaxed) {
                let name = format!("p{}", rand::random_range(skus.clone()));
                let start = Instant::now();
                shop.checkout(cart(&[(&name, 1)])).await.unwrap();
                times.push(start.elapsed());
            }
            times
        });
    }
    buyers
}
