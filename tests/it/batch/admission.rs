//! The queue: requests that wait, leave or bypass it.

use std::time::Duration;

use optilock::inventory::{BatchedInventory, Error, Inventory, PgInventory};

use super::{OPTIONS, buyers, shop, spawn, until_queued};
use crate::support::{
    bank::until_waiting,
    db::{Db, Default, assert_books, order_count},
    goods::{add, cart},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_future_dropped_before_its_batch_starts_has_no_effect() {
    let (db, _) = shop(Default::ReadCommitted).await;
    let shop = BatchedInventory::new(PgInventory::new(db.pool.clone()), OPTIONS.always());
    add(&shop, "pot", 100).await;
    let mut tx = db.pool.begin().await.unwrap();
    shop.inventory()
        .checkout_in(&mut tx, &cart(&[("pot", 1)]))
        .await
        .unwrap();
    let first = spawn(&shop, cart(&[("pot", 1)]));
    until_waiting(&db.pool).await;
    let mut waiting = buyers(&shop, (0..10).map(|_| cart(&[("pot", 1)])));
    until_queued(&shop, 10).await;
    for gone in waiting.drain(3..8) {
        gone.abort();
        assert!(gone.await.unwrap_err().is_cancelled());
    }
    // His batch has begun: it counts.
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    tx.commit().await.unwrap();
    for buyer in waiting {
        buyer.await.unwrap().unwrap();
    }
    shop.shutdown().await;
    assert_eq!(order_count(&db.pool).await, 1 + 1 + 5);
    assert_books(&db.pool).await;
}

/// A transaction of the host's holds one product for as long as it likes.
#[tokio::test(flavor = "multi_thread")]
async fn a_held_product_does_not_delay_other_products() {
    let (db, shop) = shop(Default::ReadCommitted).await;
    add(&shop, "pot", 100).await;
    add(&shop, "mug", 100).await;
    let mut tx = db.pool.begin().await.unwrap();
    shop.inventory()
        .checkout_in(&mut tx, &cart(&[("pot", 1)]))
        .await
        .unwrap();
    let held = buyers(&shop, (0..5).map(|_| cart(&[("pot", 1)])));
    until_waiting(&db.pool).await;
    let others = buyers(&shop, (0..20).map(|_| cart(&[("mug", 1)])));
    for buyer in others {
        let answer = tokio::time::timeout(Duration::from_secs(8), buyer).await;
        answer.expect("it waits for nobody").unwrap().unwrap();
    }
    assert!(held.iter().all(|buyer| !buyer.is_finished()));
    tx.commit().await.unwrap();
    for buyer in held {
        buyer.await.unwrap().unwrap();
    }
    assert_eq!(order_count(&db.pool).await, 26);
    assert_books(&db.pool).await;
}

#[test]
fn ten_thousand_waiting_checkouts_are_all_served() {
    const WAITING: usize = 10_000;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (db, shop, tx) = runtime.block_on(async {
        let db = Db::new().await;
        let options = OPTIONS.always().with_queue(WAITING);
        let shop = BatchedInventory::new(PgInventory::new(db.pool.clone()), options);
        add(&shop, "pot", 1_000_000).await;
        let mut tx = db.pool.begin().await.unwrap();
        shop.inventory()
            .checkout_in(&mut tx, &cart(&[("pot", 1)]))
            .await
            .unwrap();
        (db, shop, tx)
    });
    let first = runtime.spawn(spawn_checkout(shop.clone()));
    runtime.block_on(until_waiting(&db.pool));
    let mut waiting = Vec::with_capacity(WAITING);
    let cost = allocation_counter::measure(|| {
        runtime.block_on(async {
            for _ in 0..WAITING {
                waiting.push(tokio::spawn(spawn_checkout(shop.clone())));
            }
            while shop.queue_depth() < WAITING {
                tokio::task::yield_now().await;
            }
        });
    });
    let each = cost.bytes_current / WAITING as i64;
    assert!(each > 0 && each < 2_048, "{each} bytes each");
    runtime.block_on(async {
        let full = shop.checkout(cart(&[("pot", 1)])).await.unwrap_err();
        let Error::Busy {
            retry_after: Some(retry_after),
            ..
        } = full
        else {
            panic!("{full:?}");
        };
        assert!(retry_after > Duration::ZERO);
        tx.commit().await.unwrap();
        first.await.unwrap();
        for buyer in waiting {
            buyer.await.unwrap();
        }
        assert_eq!(order_count(&db.pool).await, WAITING as i64 + 2);
        assert_books(&db.pool).await;
    });
}

async fn spawn_checkout(shop: BatchedInventory) {
    shop.checkout(cart(&[("pot", 1)])).await.unwrap();
}
