//! Requests that wait in the queue, leave it or bypass it.

use std::time::Duration;

use optilock::inventory::{BatchedInventory, ErrorKind, Inventory, PgInventory};
use tokio::time::timeout;

use super::{
    OPTIONS, always_batched, batched, one_pot, sell_and_hold, spawn_checkout, spawn_checkouts,
    until_queued,
};
use crate::support::{
    SHUTDOWN,
    bank::until_waiting,
    connect::current_thread,
    db::{Db, Default, assert_balanced, order_count},
    goods::{add, cart},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_future_dropped_before_its_batch_starts_has_no_effect() {
    let (db, shop) = always_batched().await;
    add(&shop, "pot", 100).await;
    let tx = sell_and_hold(&db, shop.inventory(), 1).await;
    let first = spawn_checkout(&shop, one_pot());
    until_waiting(&db.pool).await;
    let mut waiting = spawn_checkouts(&shop, (0..10).map(|_| one_pot()));
    until_queued(&shop, 10).await;
    for dropped in waiting.drain(3..8) {
        dropped.abort();
        assert!(dropped.await.unwrap_err().is_cancelled());
    }
    // The batch of the first checkout has started, so this one takes effect.
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    tx.commit().await.unwrap();
    for answer in waiting {
        answer.await.unwrap().unwrap();
    }
    shop.shutdown(SHUTDOWN).await.unwrap();
    assert_eq!(order_count(&db.pool).await, 1 + 1 + 5);
    assert_balanced(&db.pool).await;
}

/// A transaction of the host locks one product.
#[tokio::test(flavor = "multi_thread")]
async fn a_held_product_does_not_delay_other_products() {
    let (db, shop) = batched(Default::ReadCommitted).await;
    add(&shop, "pot", 100).await;
    add(&shop, "mug", 100).await;
    let tx = sell_and_hold(&db, shop.inventory(), 1).await;
    let held = spawn_checkouts(&shop, (0..5).map(|_| one_pot()));
    until_waiting(&db.pool).await;
    for other in spawn_checkouts(&shop, (0..20).map(|_| cart(&[("mug", 1)]))) {
        let answer = timeout(Duration::from_secs(8), other).await;
        answer.expect("no wait for the pot").unwrap().unwrap();
    }
    assert!(held.iter().all(|answer| !answer.is_finished()));
    tx.commit().await.unwrap();
    for answer in held {
        answer.await.unwrap().unwrap();
    }
    assert_eq!(order_count(&db.pool).await, 26);
    assert_balanced(&db.pool).await;
}

/// The queue is full, each waiting checkout costs less than 2 KiB, and one more is rejected as busy.
#[test]
fn ten_thousand_waiting_checkouts_are_all_served() {
    const WAITING: usize = 10_000;
    let runtime = current_thread();
    let (db, shop, tx) = runtime.block_on(async {
        let db = Db::new().await;
        let options = OPTIONS.always().with_queue(WAITING);
        let shop = BatchedInventory::new(PgInventory::new(db.pool.clone()), options);
        add(&shop, "pot", 1_000_000).await;
        let tx = sell_and_hold(&db, shop.inventory(), 1).await;
        (db, shop, tx)
    });
    let first = runtime.spawn(buy_one_pot(shop.clone()));
    runtime.block_on(until_waiting(&db.pool));
    let mut waiting = Vec::with_capacity(WAITING);
    let cost = allocation_counter::measure(|| {
        runtime.block_on(async {
            for _ in 0..WAITING {
                waiting.push(tokio::spawn(buy_one_pot(shop.clone())));
            }
            while shop.queue_depth() < WAITING {
                tokio::task::yield_now().await;
            }
        });
    });
    let each = cost.bytes_current / WAITING as i64;
    assert!(each > 0 && each < 2_048, "{each} bytes each");
    runtime.block_on(async {
        let rejected = shop.checkout(one_pot()).await.unwrap_err();
        assert_eq!(rejected.kind(), ErrorKind::Busy, "{rejected:?}");
        assert_eq!(rejected.exhausted(), None);
        let retry_after = rejected.retry_after().expect("a time to wait");
        assert!(retry_after > Duration::ZERO);
        tx.commit().await.unwrap();
        first.await.unwrap();
        for answer in waiting {
            answer.await.unwrap();
        }
        assert_eq!(order_count(&db.pool).await, WAITING as i64 + 2);
        assert_balanced(&db.pool).await;
    });
}

async fn buy_one_pot(shop: BatchedInventory) {
    shop.checkout(one_pot()).await.unwrap();
}
