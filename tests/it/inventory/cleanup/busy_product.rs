//! Cleanup of the orders of a hot product.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use optilock::{
    inventory::{Cleanup, Inventory, PgInventory},
    sqlx::{self, PgPool},
};
use tokio::task::JoinHandle;

use super::{OLD, add_unpaid_orders, spawn_buyers};
use crate::support::db::{Db, Default, assert_balanced, deadlocks, pool_options};

/// Samples the lock waits of sessions that run a statement of the cleanup, or wait for such a session, until
/// `stop`. Returns the longest, in seconds.
fn sample_lock_waits(pool: &PgPool, stop: &Arc<AtomicBool>) -> JoinHandle<f64> {
    let (pool, stop) = (pool.clone(), Arc::clone(stop));
    tokio::spawn(async move {
        let mut longest: f64 = 0.0;
        while !stop.load(Relaxed) {
            let waits = "SELECT coalesce(max(extract(epoch FROM clock_timestamp() - l.waitstart)), 0)::float8
                FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
                WHERE NOT l.granted AND a.datname = current_database() AND EXISTS (
                    SELECT FROM pg_stat_activity b WHERE (b.pid = a.pid OR b.pid = ANY (pg_blocking_pids(a.pid)))
                        AND (b.query LIKE '%unpaid AS MATERIALIZED%' OR b.query LIKE '%locked_order%'
                            OR b.query LIKE '%lock_timeout%'))";
            let wait: f64 = sqlx::query_scalar(waits).fetch_one(&pool).await.unwrap();
            longest = longest.max(wait);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        longest
    })
}

/// Cleans up orders of one product while concurrent checkouts keep it locked. `limit` is the longest lock
/// wait, in seconds.
async fn assert_cleaned_up_beside_buyers(default: Default, limit: f64) {
    let db = Db::with(default, 40).await;
    add_unpaid_orders(&db.pool, 300, 2, 300).await;
    let shop = PgInventory::new(db.pool.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let watch = pool_options(1)
        .connect_with(db.database.options())
        .await
        .unwrap();
    let buyers = spawn_buyers(&shop, 32, 0..1, &stop);
    let waited = sample_lock_waits(&watch, &stop);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (start, mut done) = (Instant::now(), Cleanup::default());
    while done.orders < 300 && start.elapsed() < Duration::from_secs(10) {
        done = done.plus(shop.cleanup_failed_orders(OLD).await.unwrap());
    }
    println!("{default:?}: {done:?} after {:?}", start.elapsed());
    stop.store(true, Relaxed);
    let sold = buyers.join_all().await;
    println!("{} sold", sold.iter().map(Vec::len).sum::<usize>());
    assert_eq!(done.orders, 300);
    let waited = waited.await.unwrap();
    println!("longest wait {waited}");
    assert!(waited <= limit, "{waited}");
    assert_eq!(deadlocks(&db.pool).await, 0);
    watch.close().await;
    assert_balanced(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_product_is_cleaned_up_under_every_isolation_level() {
    for default in [
        Default::ReadCommitted,
        Default::RepeatableRead,
        Default::Serializable,
    ] {
        assert_cleaned_up_beside_buyers(default, 1.0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "its limits need a machine without other load"]
async fn no_checkout_waits_long_for_the_cleanup_of_a_hot_product() {
    assert_cleaned_up_beside_buyers(Default::ReadCommitted, 0.1).await;
}
