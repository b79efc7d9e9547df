//! Concurrent calls of one checkout, and stock that changes while a checkout waits for a lock.

use optilock::{
    RetryPolicy,
    inventory::{Adjustment, Checkout, PgInventory, Strategy},
};

use super::{carts, spawn_checkout, stocked};
use crate::{
    support::bank::until_waiting,
    support::db::{Db, assert_balanced},
    support::goods::{add, cart, sku, stock_of},
    support::race::race,
    support::strategies::STRATEGIES,
};

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_calls_of_one_checkout_return_the_same_order() {
    let db = Db::new().await;
    for strategy in STRATEGIES {
        let shop = PgInventory::new(db.pool.clone()).with_strategy(strategy);
        for round in 0..40 {
            let (pot, mug) = (
                format!("pot-{strategy:?}-{round}"),
                format!("mug-{strategy:?}-{round}"),
            );
            add(&shop, &pot, 1).await;
            add(&shop, &mug, 1).await;
            let request = if round % 2 == 0 {
                cart(&[(&pot, 1)])
            } else {
                cart(&[(&pot, 1), (&mug, 1)])
            };
            let answers = race(&shop, vec![request.clone(); 4]).await;
            let mut firsts = 0;
            for answer in answers {
                let order = answer
                    .unwrap_or_else(|refused| panic!("{strategy:?}, round {round}: {refused:?}"));
                assert_eq!(order.id, request.order_id());
                firsts += i32::from(!order.replayed);
            }
            assert_eq!(firsts, 1, "{strategy:?}, round {round}");
        }
    }
    assert_balanced(&db.pool).await;
}

/// Every strategy with every cart.
fn cases() -> impl Iterator<Item = (Strategy, Checkout)> {
    STRATEGIES
        .into_iter()
        .flat_map(|strategy| carts().map(|cart| (strategy, cart)))
}

/// A checkout waits for a lock while another call of it commits. It needs no further attempt to find its order.
#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_looks_for_its_order_again_before_a_refusal() {
    for (strategy, request) in cases() {
        let db = Db::new().await;
        let once = RetryPolicy::new().with_max_attempts(1);
        let shop = stocked(&db, strategy).await.with_policy(once);
        // The first call holds the product's lock, and its order is not visible yet.
        let mut tx = db.pool.begin().await.unwrap();
        let first = shop.checkout_in(&mut tx, &request).await.unwrap();
        let second = spawn_checkout(&shop, &request);
        until_waiting(&db.pool).await;
        tx.commit().await.unwrap();
        let second = second
            .await
            .unwrap()
            .unwrap_or_else(|refused| panic!("{strategy:?}: {refused:?}"));
        assert!(second.replayed && second.id == first.id, "{strategy:?}");
        assert_balanced(&db.pool).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_delivered_during_a_lock_wait_is_sold() {
    for (strategy, request) in cases() {
        let db = Db::new().await;
        let shop = stocked(&db, strategy).await;
        let mut tx = db.pool.begin().await.unwrap();
        let sold = cart(&[("pot", 1)]);
        shop.checkout_in(&mut tx, &sold).await.unwrap();
        let delivery = Adjustment::new(sku("pot"), 1, "delivery").unwrap();
        shop.adjust_stock_in(&mut tx, &delivery).await.unwrap();
        let waiting = spawn_checkout(&shop, &request);
        until_waiting(&db.pool).await;
        tx.commit().await.unwrap();
        waiting
            .await
            .unwrap()
            .unwrap_or_else(|refused| panic!("{strategy:?}: {refused:?}"));
        assert_eq!(stock_of(&shop, "pot").await, 0);
        assert_balanced(&db.pool).await;
    }
}
