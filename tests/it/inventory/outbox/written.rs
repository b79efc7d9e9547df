//! Each accepted order has one entry, and nothing else has one.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use optilock::{
    RetryPolicy,
    inventory::{
        BatchOptions, BatchedInventory, Error, ErrorKind, Inventory, OnAccepted, PgInventory,
        Reserve, ReturnRequest, Strategy,
    },
    postgres::transact,
    sqlx::PgPool,
};

use super::{orders, stored};
use crate::{
    inventory::hook,
    support::db::{Db, assert_balanced},
    support::goods::{add, cart, sku, units},
    support::strategies::STRATEGIES,
};

/// Asserts that the outbox has one entry of each order.
async fn assert_one_each(pool: &PgPool, count: usize, label: &str) {
    let entries = stored(pool).await;
    assert_eq!(entries, orders(pool).await, "{label}");
    assert_eq!(entries.len(), count, "{label}");
    assert_balanced(pool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_accepted_order_has_one_entry() {
    for strategy in STRATEGIES {
        let label = &format!("{strategy:?}");
        let db = Db::new().await;
        let shop = PgInventory::new(db.pool.clone())
            .with_strategy(strategy)
            .with_outbox();
        for (name, count) in [("dish", 3), ("mug", 50), ("pot", 50)] {
            add(&shop, name, count).await;
        }
        let first = cart(&[("pot", 2)])
            .with_customer("ana")
            .with_idempotency_key("key");
        shop.checkout(first.clone()).await.unwrap();
        shop.checkout(cart(&[("mug", 1), ("pot", 1)]))
            .await
            .unwrap();
        let held = Reserve::new([(sku("mug"), units(2)), (sku("pot"), units(1))]).unwrap();
        let held = shop.reserve(held).await.unwrap();
        let reserved = cart(&[("mug", 2), ("pot", 1)]).with_reservation(held.id);
        shop.checkout(reserved.clone()).await.unwrap();
        // The units of expired holds.
        let expired = Reserve::new([(sku("dish"), units(3))]).unwrap();
        let expired = expired.for_duration(Duration::from_micros(1));
        shop.reserve(expired).await.unwrap();
        shop.checkout(cart(&[("dish", 2)])).await.unwrap();
        assert_one_each(&db.pool, 4, label).await;

        // Replays, by id and by key, and refusals.
        assert!(shop.checkout(first).await.unwrap().replayed);
        assert!(shop.checkout(reserved).await.unwrap().replayed);
        let again = cart(&[("pot", 2)])
            .with_customer("ana")
            .with_idempotency_key("key");
        assert!(shop.checkout(again).await.unwrap().replayed);
        for refused in [cart(&[("dish", 2)]), cart(&[("dish", 2), ("pot", 1)])] {
            let refused = shop.checkout(refused).await.unwrap_err();
            assert!(refused.is_insufficient_stock());
        }
        shop.checkout(cart(&[("vase", 1)])).await.unwrap_err();
        assert_one_each(&db.pool, 4, label).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_simultaneous_orders_has_one_entry() {
    for strategy in STRATEGIES {
        let db = Db::new().await;
        let shop = PgInventory::new(db.pool.clone())
            .with_strategy(strategy)
            .with_outbox();
        add(&shop, "mug", 60).await;
        add(&shop, "pot", 60).await;
        let batched = BatchedInventory::new(shop.clone(), BatchOptions::new());
        let always = BatchedInventory::new(shop.clone(), BatchOptions::new().always());
        let shops: [Arc<dyn Inventory>; 3] = [Arc::new(shop), Arc::new(batched), Arc::new(always)];
        let mut buyers = tokio::task::JoinSet::new();
        for buyer in 0..90 {
            let shop = Arc::clone(&shops[buyer % 3]);
            buyers.spawn(async move {
                let request = match buyer % 2 {
                    0 => cart(&[("pot", 1)]),
                    _ => cart(&[("mug", 1), ("pot", 1)]),
                };
                shop.checkout(request).await.is_ok()
            });
        }
        let sold = buyers.join_all().await.into_iter().filter(|sold| *sold);
        let sold = sold.count();
        assert!((1..=60).contains(&sold), "{sold}");
        assert_one_each(&db.pool, sold, &format!("{strategy:?}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_rolled_back_has_no_entry() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone()).with_outbox();
    add(&shop, "mug", 10).await;
    add(&shop, "pot", 10).await;
    let held = Reserve::new([(sku("mug"), units(2))]).unwrap();
    let held = shop.reserve(held).await.unwrap();
    let mut tx = db.pool.begin().await.unwrap();
    for request in [
        cart(&[("pot", 1)]),
        cart(&[("mug", 1), ("pot", 1)]),
        cart(&[("mug", 1)]).with_reservation(held.id),
    ] {
        shop.checkout_in(&mut tx, &request).await.unwrap();
    }
    tx.rollback().await.unwrap();
    assert_one_each(&db.pool, 0, "rolled back").await;
    let policy = RetryPolicy::new();
    transact(&db.pool, &policy, async |tx| {
        let refused = shop
            .checkout_in(tx, &cart(&[("mug", 99), ("pot", 1)]))
            .await;
        assert!(refused.unwrap_err().is_insufficient_stock());
        shop.checkout_in(tx, &cart(&[("pot", 1)])).await?;
        shop.checkout_in(tx, &cart(&[("mug", 1)])).await?;
        Ok::<_, Error>(())
    })
    .await
    .unwrap();
    assert_one_each(&db.pool, 2, "committed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_a_hook_refuses_has_no_entry() {
    for strategy in STRATEGIES {
        let (db, shop, outbox) = hook::outbox::shop(strategy).await;
        let shop = shop.with_outbox();
        add(&shop, "pot", 10).await;
        outbox.refusals.store(1, Relaxed);
        let request = cart(&[("pot", 3)]);
        let refused = shop.checkout(request.clone()).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Hook);
        assert_one_each(&db.pool, 0, "refused").await;
        // A conflict inside the hook repeats the checkout.
        outbox.conflicts.store(1, Relaxed);
        shop.checkout(request).await.unwrap();
        assert_one_each(&db.pool, 1, "accepted").await;
        outbox.refusals.store(1, Relaxed);
        let mut tx = db.pool.begin().await.unwrap();
        let refused = shop.checkout_in(&mut tx, &cart(&[("pot", 1)])).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Hook);
        shop.checkout_in(&mut tx, &cart(&[("pot", 1)]))
            .await
            .unwrap();
        tx.commit().await.unwrap();
        assert_one_each(&db.pool, 2, "in a transaction").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn later_steps_of_an_order_write_no_entry() {
    let db = Db::new().await;
    let shop = PgInventory::new(db.pool.clone()).with_outbox();
    add(&shop, "pot", 10).await;
    let order = shop.checkout(cart(&[("pot", 2)])).await.unwrap();
    shop.mark_payment_failed(order.id).await.unwrap();
    shop.cancel(order.id, "late").await.unwrap();
    shop.revive(order.id).await.unwrap();
    shop.mark_paid(order.id).await.unwrap();
    let back = ReturnRequest::new(order.id, [(sku("pot"), units(1))], "broken").unwrap();
    shop.return_items(back).await.unwrap();
    shop.checkout(cart(&[("pot", 1)])).await.unwrap();
    let cancelled = shop.cleanup_failed_orders(Duration::ZERO).await.unwrap();
    assert_eq!(cancelled.orders, 1);
    assert_one_each(&db.pool, 2, "all steps").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_outbox_no_order_has_an_entry() {
    let db = Db::new().await;
    let hook: Arc<dyn OnAccepted> = Arc::new(crate::support::idle_hook::IdleHook);
    let plain = PgInventory::new(db.pool.clone()).with_strategy(Strategy::Guarded);
    add(&plain, "mug", 10).await;
    add(&plain, "pot", 10).await;
    for shop in [plain.clone(), plain.with_hook(hook)] {
        shop.checkout(cart(&[("pot", 1)])).await.unwrap();
        shop.checkout(cart(&[("mug", 1), ("pot", 1)]))
            .await
            .unwrap();
    }
    assert_eq!(stored(&db.pool).await, []);
}
