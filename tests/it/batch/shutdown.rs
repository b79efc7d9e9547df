//! The shutdown of the queue.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use optilock::inventory::{Inventory, OrderId};
use tokio::task::{JoinSet, yield_now};

use super::{always_batched, batched, one_pot, sell_and_hold, spawn_checkouts, until_queued};
use crate::support::{
    SHUTDOWN,
    bank::until_waiting,
    db::{Default, assert_balanced, order_count},
    goods::add,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_drains_the_queue_and_rejects_new_checkouts() {
    let (db, shop) = batched(Default::ReadCommitted).await;
    add(&shop, "pot", 1_000).await;
    let tx = sell_and_hold(&db, shop.inventory(), 1).await;
    let waiting = spawn_checkouts(&shop, (0..300).map(|_| one_pot()));
    until_queued(&shop, 1).await;
    let closing = tokio::spawn({
        let shop = shop.clone();
        async move { shop.shutdown(SHUTDOWN).await }
    });
    tx.commit().await.unwrap();
    closing.await.unwrap().unwrap();
    assert_eq!(shop.queue_depth(), 0);
    let late = shop.checkout(one_pot()).await.unwrap_err();
    assert!(late.is_busy() && late.http_status() == 503);
    let mut sold = 1;
    for answer in waiting {
        match answer.await.unwrap() {
            Ok(_) => sold += 1,
            Err(late) => assert!(late.is_busy(), "{late:?}"),
        }
    }
    assert_eq!(order_count(&db.pool).await, sold);
    assert_balanced(&db.pool).await;
}

/// Checkouts are direct, queued and in a batch, half of them are refused by the stock, and cancellations keep
/// arriving. After the shutdown the pool is closed.
#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_waits_for_every_admitted_request() {
    let (db, shop) = batched(Default::ReadCommitted).await;
    add(&shop, "pot", 32).await;
    let tx = sell_and_hold(&db, shop.inventory(), 1).await;
    let waiting = spawn_checkouts(&shop, (0..64).map(|_| one_pot()));
    until_queued(&shop, 1).await;
    until_waiting(&db.pool).await;
    let ended = Arc::new(AtomicBool::new(false));
    let mut cancelling = JoinSet::new();
    for _ in 0..8 {
        let (shop, ended) = (shop.clone(), Arc::clone(&ended));
        cancelling.spawn(async move {
            while !ended.load(SeqCst) {
                let error = shop
                    .cancel(OrderId::new(), "no such order")
                    .await
                    .unwrap_err();
                assert!(error.is_not_found() || error.is_busy(), "{error:?}");
                yield_now().await;
            }
        });
    }
    let closing = tokio::spawn({
        let (shop, pool) = (shop.clone(), db.pool.clone());
        async move {
            shop.shutdown(SHUTDOWN).await.unwrap();
            // What was admitted needs no connection any more.
            pool.close().await;
        }
    });
    let late = loop {
        if let Err(error) = shop.cancel(OrderId::new(), "no such order").await
            && error.is_busy()
        {
            break error;
        }
        yield_now().await;
    };
    assert_eq!(late.retry_after(), None);
    tx.commit().await.unwrap();
    closing.await.unwrap();
    ended.store(true, SeqCst);
    cancelling.join_all().await;
    let mut sold = 0;
    for answer in waiting {
        match answer.await.unwrap() {
            Ok(_) => sold += 1,
            Err(refused) => assert!(refused.is_insufficient_stock(), "{refused:?}"),
        }
    }
    assert_eq!(sold, 31);
    let pool = crate::support::connect::pool_of(&db, 1).await;
    assert_eq!(order_count(&pool).await, 32);
    assert_balanced(&pool).await;
}

/// A product stays locked. What is queued is answered when the time is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_has_a_time_limit() {
    let (db, shop) = always_batched().await;
    add(&shop, "pot", 100).await;
    let tx = sell_and_hold(&db, shop.inventory(), 1).await;
    let mut waiting = spawn_checkouts(&shop, [one_pot()]);
    until_waiting(&db.pool).await;
    waiting.extend(spawn_checkouts(&shop, (0..5).map(|_| one_pot())));
    until_queued(&shop, 5).await;
    let limit = Duration::from_millis(100);
    let timed_out = shop.shutdown(limit).await.unwrap_err();
    assert_eq!((timed_out.unanswered, timed_out.limit), (6, limit));
    assert_eq!(
        timed_out.to_string(),
        "6 requests had no answer after 100ms"
    );
    for queued in waiting.drain(1..) {
        let refused = queued.await.unwrap().unwrap_err();
        assert!(refused.is_busy() && !refused.is_unknown(), "{refused:?}");
    }
    // The batch is being written: it has its answer when the database answers.
    tx.commit().await.unwrap();
    let sent = waiting.remove(0).await.unwrap();
    assert!(sent.is_ok() || sent.is_err_and(|busy| busy.is_busy()));
    shop.shutdown(SHUTDOWN).await.unwrap();
    assert_balanced(&db.pool).await;
}
