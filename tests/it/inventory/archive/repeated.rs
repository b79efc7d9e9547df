//! Requests that are sent again after what they made was archived.

use std::time::Duration;

use optilock::inventory::{
    Adjustment, BatchOptions, BatchedInventory, ErrorKind, Inventory, OrderStep, PgInventory,
    Reserve, ReturnRequest,
};

use super::{Ground, age, archive, archived, everything, rows};
use crate::support::{
    db::Db,
    goods::{add, cart, sku, units},
    strategies::STRATEGIES,
    triggers::run,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_checkout_is_archived() {
    for strategy in STRATEGIES {
        for lines in [&[("pot", 2)][..], &[("mug", 1), ("pot", 2)]] {
            let db = Db::new().await;
            let shop = PgInventory::new(db.pool.clone()).with_strategy(strategy);
            add(&shop, "mug", 50).await;
            add(&shop, "pot", 50).await;
            let request = cart(lines);
            let order = shop.checkout(request.clone()).await.unwrap();
            shop.mark_paid(order.id).await.unwrap();
            age(&db.pool).await;
            assert_eq!(archive(&shop, everything(), 10).await.orders.len(), 1);
            let before = rows(&db.pool).await;
            archived(shop.checkout(request.clone()).await, "checkout");
            let mut tx = db.pool.begin().await.unwrap();
            archived(shop.checkout_in(&mut tx, &request).await, "checkout_in");
            tx.rollback().await.unwrap();
            let options = BatchOptions::new();
            for batched in [
                BatchedInventory::new(shop.clone(), options),
                BatchedInventory::new(shop.clone(), options.always()),
            ] {
                archived(batched.checkout(request.clone()).await, "batched");
            }
            // Sold out, a repeated checkout is archived as before.
            let left = shop.product(&sku("pot")).await.unwrap().stock.get();
            let lost = Adjustment::new(sku("pot"), -left, "lost").unwrap();
            shop.adjust_stock(lost).await.unwrap();
            archived(shop.checkout(request.clone()).await, "sold out");
            let batched = BatchedInventory::new(shop.clone(), options.always());
            archived(batched.checkout(request).await, "sold out, batched");
            assert_ne!(before, rows(&db.pool).await);
        }
    }
}

#[tokio::test]
async fn steps_and_reads_of_an_archived_order_are_archived() {
    let ground = Ground::new().await;
    let shop = &ground.shop;
    archive(shop, everything(), 1_000).await;
    let before = rows(&ground.db.pool).await;
    let batched = BatchedInventory::new(shop.clone(), BatchOptions::new().always());
    for id in [ground.paid, ground.cancelled] {
        let shops: [&dyn Inventory; 2] = [shop, &batched];
        for shop in shops {
            archived(shop.order(id).await, "order");
            archived(shop.mark_paid(id).await, "mark_paid");
            archived(shop.mark_payment_failed(id).await, "mark_payment_failed");
            archived(shop.cancel(id, "test").await, "cancel");
            archived(shop.revive(id).await, "revive");
            let step = OrderStep::revive(id).expecting_version(optilock::Version::FIRST);
            archived(shop.step(step).await, "step");
            let back = ReturnRequest::new(id, [(sku("pot"), units(1))], "broken").unwrap();
            archived(shop.return_items(back).await, "return_items");
        }
    }
    assert_eq!(rows(&ground.db.pool).await, before);
}

#[tokio::test]
async fn a_repeated_reservation_is_archived() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 50).await;
    let request = Reserve::new([(sku("pot"), units(2))]).unwrap();
    let keyed = Reserve::new([(sku("pot"), units(3))]).unwrap();
    let keyed = keyed.with_customer("ana").with_idempotency_key("k");
    for request in [&request, &keyed] {
        let held = shop.reserve(request.clone()).await.unwrap();
        shop.release(held.id).await.unwrap();
    }
    run(&db.pool, "UPDATE optilock.holds SET expires_at = now()").await;
    assert_eq!(archive(&shop, everything(), 10).await.reservations.len(), 2);
    let before = rows(&db.pool).await;
    let batched = BatchedInventory::new(shop.clone(), BatchOptions::new().always());
    let shops: [&dyn Inventory; 2] = [&shop, &batched];
    for shop in shops {
        archived(shop.reserve(request.clone()).await, "by id");
        archived(shop.reserve(keyed.clone()).await, "by id, with a key");
        let other = Reserve::new([(sku("pot"), units(3))]).unwrap();
        let other = other.with_customer("ana").with_idempotency_key("k");
        archived(shop.reserve(other).await, "by key");
        archived(
            shop.reservation(request.reservation_id()).await,
            "reservation",
        );
        let longer = Duration::from_secs(60);
        archived(
            shop.extend(request.reservation_id(), longer).await,
            "extend",
        );
        archived(shop.release(request.reservation_id()).await, "release");
        let buy = cart(&[("pot", 1)]).with_reservation(request.reservation_id());
        archived(shop.checkout(buy).await, "checkout");
    }
    assert_eq!(rows(&db.pool).await, before);
}

#[tokio::test]
async fn a_repeated_adjustment_is_archived() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone());
    add(&shop, "pot", 5).await;
    add(&shop, "mug", 5).await;
    let first = Adjustment::new(sku("pot"), 3, "delivery").unwrap();
    let last = Adjustment::new(sku("pot"), 4, "delivery").unwrap();
    for adjustment in [&first, &last] {
        shop.adjust_stock(adjustment.clone()).await.unwrap();
    }
    age(&db.pool).await;
    // The first movement leaves, and the last one becomes the opening balance.
    archive(&shop, everything(), 10).await;
    let before = rows(&db.pool).await;
    for adjustment in [&first, &last] {
        archived(shop.adjust_stock(adjustment.clone()).await, "repeated");
        let mut tx = db.pool.begin().await.unwrap();
        archived(
            shop.adjust_stock_in(&mut tx, adjustment).await,
            "in a transaction",
        );
        tx.rollback().await.unwrap();
        let other = Adjustment::new(sku("mug"), -9, "lost").unwrap();
        let other = other.with_id(adjustment.id());
        archived(shop.adjust_stock(other).await, "the id of another");
    }
    assert_eq!(rows(&db.pool).await, before);
    let refused = Adjustment::new(sku("pot"), -99, "lost").unwrap();
    let refused = shop.adjust_stock(refused).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InsufficientStock);
}
