//! Batches whose outcome is in doubt.

use std::sync::Arc;

use optilock::inventory::{
    Adjustment, BatchedInventory, Checkout, Inventory, OrderStatus, PgInventory,
};
use tokio::sync::Notify;

use super::{OPTIONS, buyers, shop, spawn, until_queued};
use crate::support::{
    bank::until_waiting,
    db::{Db, assert_books, order_count},
    goods::{add, cart, sku, stock_of},
    proxy::{Cut, Proxy},
};

/// The connection dies under a batch, before it arrives, before its answer does, and late.
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
        let requests: Vec<Checkout> = (0..20).map(|_| cart(&[("pot", 1)])).collect();
        // A batch of one holds the worker up until the others are there.
        let mut tx = db.pool.begin().await.unwrap();
        direct
            .checkout_in(&mut tx, &cart(&[("pot", 1)]))
            .await
            .unwrap();
        let first = spawn(&shop, cart(&[("pot", 1)]));
        until_waiting(&db.pool).await;
        proxy.trap(requests[7].order_id().uuid().as_bytes(), cut.clone());
        let waiting = buyers(&shop, requests.clone());
        until_queued(&shop, 20).await;
        tx.commit().await.unwrap();
        first.await.unwrap().unwrap();
        let mut sold = 0;
        for (buyer, request) in waiting.into_iter().zip(&requests) {
            match buyer.await.unwrap() {
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
            // What was refused stays so, although there is stock again when its batch arrives.
            direct
                .adjust_stock(Adjustment::new(sku("pot"), 9, "delivery").unwrap())
                .await
                .unwrap();
            release.notify_one();
            done.notified().await;
            assert_eq!(stock_of(&direct, "pot").await, 9);
        }
        assert_eq!(order_count(&db.pool).await, 15, "{cut:?}");
        assert_books(&db.pool).await;
    }
}

/// The batch is on its way, its only request is asked for alone and refused, the stock comes back, the
/// batch arrives.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_of_a_lost_batch_is_final() {
    let db = Db::new().await;
    let proxy = Proxy::new(&db).await;
    let direct = PgInventory::new(db.pool.clone());
    let shop = BatchedInventory::new(PgInventory::new(proxy.pool(4).await), OPTIONS.always());
    add(&direct, "pot", 3).await;
    // From here on two units are known to be there.
    shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    let mut tx = db.pool.begin().await.unwrap();
    direct
        .checkout_in(&mut tx, &cart(&[("pot", 2)]))
        .await
        .unwrap();
    let request = cart(&[("pot", 1)]);
    let (release, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let late = Cut::Late(release.clone(), done.clone());
    proxy.trap(request.order_id().uuid().as_bytes(), late);
    let buyer = spawn(&shop, request.clone());
    until_waiting(&db.pool).await;
    assert!(!proxy.armed(), "it is the second attempt that waits");
    tx.commit().await.unwrap();
    let refused = buyer.await.unwrap().unwrap_err();
    assert!(refused.is_insufficient_stock(), "{refused:?}");
    let delivery = Adjustment::new(sku("pot"), 5, "delivery").unwrap();
    direct.adjust_stock(delivery).await.unwrap();
    release.notify_one();
    done.notified().await;
    assert_eq!(stock_of(&direct, "pot").await, 5);
    let void = direct.order(request.order_id()).await.unwrap();
    assert_eq!(void.status, OrderStatus::Void);
    assert_eq!(order_count(&db.pool).await, 2);
    assert_books(&db.pool).await;
}
