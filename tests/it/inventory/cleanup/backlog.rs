//! Cleanup of many holds of one product.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use optilock::inventory::{Inventory, PgInventory};

use super::{add_expired_holds, latencies, spawn_buyers};
use crate::{
    support::db::{Db, assert_balanced},
    support::goods::{new_product, sku},
};

/// One statement ends a bounded number of holds. `limit` is the longest duration of a concurrent checkout.
async fn assert_backlog_delays_no_buyer(holds: u32, limit: Duration) {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone()).with_cleanup_rate_limit(None);
    let pot = new_product("p0", i64::from(holds) + 1_000_000);
    shop.add_product(pot).await.unwrap();
    add_expired_holds(&db.pool, "p0", holds).await;
    let stop = Arc::new(AtomicBool::new(false));
    let buyers = spawn_buyers(&shop, 2, 0..1, &stop);
    let (start, mut done) = (Instant::now(), 0);
    while done < u64::from(holds) {
        done += shop.cleanup_reservations().await.unwrap().holds;
        assert!(start.elapsed() < Duration::from_secs(300), "{done}");
    }
    println!("{holds} holds in {:?}", start.elapsed());
    stop.store(true, Relaxed);
    let sold = latencies(buyers.join_all().await.into_iter().flatten().collect());
    println!("checkouts {sold:?}");
    assert!(sold.0 <= limit, "{sold:?}");
    assert_eq!(shop.product(&sku("p0")).await.unwrap().reserved.get(), 0);
    assert_balanced(&db.pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_of_holds_delays_no_buyer() {
    assert_backlog_delays_no_buyer(10_000, Duration::from_secs(2)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes a minute, and its limits need a machine without other load"]
async fn a_backlog_of_half_a_million_holds_delays_no_buyer() {
    assert_backlog_delays_no_buyer(500_000, Duration::from_millis(250)).await;
}
