//! Batches whose outcome is in doubt.

use std::sync::Arc;

use optilock::inventory::{BatchedInventory, Checkout, Inventory, OrderStatus, PgInventory};
use tokio::sync::Notify;

use super::{
    OPTIONS, deliver, one_pot, sell_and_hold, spawn_checkout, spawn_checkouts, until_queued,
};
use crate::support::{
    bank::until_waiting,
    db::{Db, assert_balanced, order_count},
    goods::{add, stock_of},
    proxy::{Cut, Proxy},
};

/// The connection of a batch is cut before the batch arrives, before its answer arrives, or so that the
/// batch arrives late.
#[tokio::test(flavor = "multi_thread")]
async fn a_batch_whose_connection_dies_takes_effect_once() {
    let (release, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    for cut in [
        Cut::Before,
        Cut::Reply,
        Cut::Late(release.clone(), done.clone()),
    ] {
        let db = Db::new().await;
        let proxy = Proxy::new(&db).await;
        let direct = PgInventory::new(db.pool.clone());
        let shop = BatchedInventory::new(PgInventory::new(proxy.pool(4).await), OPTIONS.always());
        add(&direct, "pot", 15).await;
        let requests: Vec<Checkout> = (0..20).map(|_| one_pot()).collect();
        // A batch of one checkout blocks the worker until the other requests are in the queue.
        let tx = sell_and_hold(&db, &direct, 1).await;
        let first = spawn_checkout(&shop, one_pot());
        until_waiting(&db.pool).await;
        proxy.trap(requests[7].order_id().uuid().as_bytes(), cut.clone());
        let waiting = spawn_checkouts(&shop, requests.clone());
        until_queued(&shop, 20).await;
        tx.commit().await.unwrap();
        first.await.unwrap().unwrap();
        let mut sold = 0;
        for (answer, request) in waiting.into_iter().zip(&requests) {
            match answer.await.unwrap() {
                Ok(order) => {
                    assert_eq!(order.id, request.order_id());
                    sold += 1;
                }
                Err(refused) => assert!(refused.is_insufficient_stock(), "{cut:?}: {refused:?}"),
            }
        }
        assert!(!proxy.armed());
        assert_eq!(sold, 13, "{cut:?}");
        if let Cut::Late(..) = cut {
            // A refused checkout stays refused, although its batch arrives when there is stock again.
            deliver(&direct, 9).await;
            release.notify_one();
            done.notified().await;
            assert_eq!(stock_of(&direct, "pot").await, 9);
        }
        assert_eq!(order_count(&db.pool).await, 15, "{cut:?}");
        assert_balanced(&db.pool).await;
    }
}

/// A batch is in flight. Its only request is repeated directly and refused, stock is delivered, and the
/// batch arrives.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_a_lost_batch_is_final() {
    let db = Db::new().await;
    let proxy = Proxy::new(&db).await;
    let direct = PgInventory::new(db.pool.clone());
    let shop = BatchedInventory::new(PgInventory::new(proxy.pool(4).await), OPTIONS.always());
    add(&direct, "pot", 3).await;
    // After this checkout the queue knows of two units.
    shop.checkout(one_pot()).await.unwrap();
    let tx = sell_and_hold(&db, &direct, 2).await;
    let request = one_pot();
    let (release, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let late = Cut::Late(release.clone(), done.clone());
    proxy.trap(request.order_id().uuid().as_bytes(), late);
    let answer = spawn_checkout(&shop, request.clone());
    until_waiting(&db.pool).await;
    assert!(!proxy.armed(), "the second attempt waits");
    tx.commit().await.unwrap();
    let refused = answer.await.unwrap().unwrap_err();
    assert!(refused.is_insufficient_stock(), "{refused:?}");
    deliver(&direct, 5).await;
    release.notify_one();
    done.notified().await;
    assert_eq!(stock_of(&direct, "pot").await, 5);
    let void = direct.order(request.order_id()).await.unwrap();
    assert_eq!(void.status, OrderStatus::Void);
    assert_eq!(order_count(&db.pool).await, 2);
    assert_balanced(&db.pool).await;
}
