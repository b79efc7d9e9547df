//! What the hook receives.

use std::sync::{Arc, atomic::Ordering::Relaxed};

use optilock::{
    inventory::{BatchOptions, BatchedInventory, Inventory, Reserve, Strategy},
    sqlx,
};

use super::outbox::{Row, row, rows, shop};
use crate::{
    support::db::{Db, assert_balanced},
    support::goods::{add, cart, sku, units},
    support::strategies::STRATEGIES,
};

#[tokio::test]
async fn the_hook_receives_every_change_of_an_accepted_checkout() {
    for strategy in STRATEGIES {
        let (db, shop, outbox) = shop(strategy).await;
        add(&shop, "mug", 10).await;
        add(&shop, "pot", 10).await;
        let first = cart(&[("pot", 3)]);
        shop.checkout(first.clone()).await.unwrap();
        shop.checkout(cart(&[("mug", 1), ("pot", 2)]))
            .await
            .unwrap();
        let held = Reserve::new([(sku("mug"), units(4))]).unwrap();
        let held = shop.reserve(held).await.unwrap();
        let reserved = cart(&[("mug", 3)]).with_reservation(held.id);
        shop.checkout(reserved).await.unwrap();
        // A replay and a refused checkout do not call the hook.
        assert!(shop.checkout(first).await.unwrap().replayed);
        shop.checkout(cart(&[("pot", 9)])).await.unwrap_err();
        let received = rows(&db.pool).await;
        let expected = [
            row("mug", 1, 2, 9, 0),
            row("mug", 3, 4, 6, 1),
            row("pot", 3, 2, 7, 0),
            row("pot", 2, 3, 5, 0),
        ];
        assert_eq!(received, expected, "{strategy:?}");
        assert_eq!(outbox.calls.load(Relaxed), 3);
        let movements = "SELECT count(*) FROM public.outbox o JOIN optilock.movements m
            ON (m.sku, m.version) = (o.sku, o.version) AND m.stock_after = o.stock AND m.order_id = o.order_id";
        let agree: i64 = sqlx::query_scalar(movements)
            .fetch_one(&db.pool)
            .await
            .unwrap();
        assert_eq!(agree, 4);
        assert_balanced(&db.pool).await;
    }
}

/// Asserts that of 40 concurrent checkouts exactly one takes the stock below the threshold.
async fn assert_one_crosses_the_threshold(db: &Db, shop: Arc<dyn Inventory>) {
    add(&*shop, "pot", 60).await;
    let mut buyers = tokio::task::JoinSet::new();
    for buyer in 0..40 {
        let shop = Arc::clone(&shop);
        buyers.spawn(async move {
            let units = 1 + buyer % 3;
            shop.checkout(cart(&[("pot", units)])).await.is_ok()
        });
    }
    let sold = buyers.join_all().await.into_iter().filter(|sold| *sold);
    let received = rows(&db.pool).await;
    assert_eq!(received.len(), sold.count());
    let below = |(_, quantity, _, stock, _): &&Row| *stock < 5 && stock + quantity >= 5;
    assert_eq!(received.iter().filter(below).count(), 1);
    assert_balanced(&db.pool).await;
}

#[tokio::test]
async fn one_checkout_takes_the_stock_below_the_threshold() {
    for strategy in STRATEGIES {
        let (db, shop, _) = shop(strategy).await;
        assert_one_crosses_the_threshold(&db, Arc::new(shop)).await;
    }
    let (db, shop, _) = shop(Strategy::Guarded).await;
    assert_one_crosses_the_threshold(
        &db,
        Arc::new(BatchedInventory::new(shop, BatchOptions::new())),
    )
    .await;
}
