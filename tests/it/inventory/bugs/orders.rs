//! Bugs of orders: cancelled, revived, paid late, placed twice.

use std::time::Duration;

use optilock::inventory::{Checkout, Inventory, OrderId, OrderStatus};

use super::{at_once, hold, reserved_of, shop};
use crate::{
    support::db::{assert_balanced, order_count},
    support::goods::{cart, stock_of},
};

/// After many cancellations and restorations, the reserved quantity was negative.
#[tokio::test(flavor = "multi_thread")]
async fn medusa_15397_repeated_cancellations_and_revivals_keep_the_stock() {
    let (db, shop) = shop(&[("pot", 5)]).await;
    let order = shop.checkout(cart(&[("pot", 2)])).await.unwrap().id;
    at_once(8, |number| {
        let shop = shop.clone();
        async move {
            for _ in 0..10 {
                let step = match number % 2 {
                    0 => shop.cancel(order, "again").await,
                    _ => shop.revive(order).await,
                };
                assert!(step.is_ok(), "{step:?}");
            }
        }
    })
    .await;
    let taken = match shop.order(order).await.unwrap().status {
        OrderStatus::Cancelled => 0,
        _ => 2,
    };
    assert_eq!(stock_of(&shop, "pot").await, 5 - taken);
    assert_eq!(reserved_of(&shop, "pot").await, 0);
    assert_balanced(&db.pool).await;
}

/// A cancellation returned units that had never been taken.
#[tokio::test(flavor = "multi_thread")]
async fn vendure_1557_and_2874_a_cancellation_returns_what_was_taken() {
    let (db, shop) = shop(&[("pot", 5)]).await;
    // The order took its units from a reservation: they return to the stock and are not reserved again.
    let held = shop.reserve(hold("pot", 3)).await.unwrap().id;
    let part = cart(&[("pot", 2)]).with_reservation(held);
    let order = shop.checkout(part).await.unwrap().id;
    shop.cancel(order, "test").await.unwrap();
    assert_eq!(
        (
            stock_of(&shop, "pot").await,
            reserved_of(&shop, "pot").await
        ),
        (5, 1)
    );
    // A refused checkout has no order to cancel.
    let refused = cart(&[("pot", 9)]);
    let id = refused.order_id();
    shop.checkout(refused).await.unwrap_err();
    assert!(shop.cancel(id, "test").await.unwrap_err().is_not_found());
    at_once(8, |_| {
        let shop = shop.clone();
        async move { shop.cancel(order, "again").await.map(drop).unwrap() }
    })
    .await;
    assert_eq!(stock_of(&shop, "pot").await, 5);
    assert_balanced(&db.pool).await;
}

/// The shop locked rows by one index and updated them by another, which found other rows.
#[tokio::test(flavor = "multi_thread")]
async fn magento_41224_a_request_by_its_id_or_by_its_key_is_one_order() {
    let (db, shop) = shop(&[("pot", 50)]).await;
    let id = OrderId::new();
    let answers = at_once(16, |number| {
        let shop = shop.clone();
        async move {
            let request = cart(&[("pot", 1)]).with_idempotency_key("key");
            let request = match number % 2 {
                0 => request.with_order_id(id),
                _ => request,
            };
            shop.checkout(request).await.unwrap().id
        }
    })
    .await;
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(
        (order_count(&db.pool).await, stock_of(&shop, "pot").await),
        (1, 49)
    );
    assert_balanced(&db.pool).await;
}

/// A late webhook paid a cancelled order, and the stock was taken again.
#[tokio::test(flavor = "multi_thread")]
async fn mollie_1252_a_late_payment_of_a_cancelled_order_is_refused() {
    let (db, shop) = shop(&[("pot", 5)]).await;
    let order = shop.checkout(cart(&[("pot", 2)])).await.unwrap().id;
    shop.cleanup_failed_orders(Duration::ZERO).await.unwrap();
    for _ in 0..3 {
        let late = shop.mark_paid(order).await.unwrap_err();
        assert_eq!(late.code(), "invalid-order-state");
        assert_eq!(stock_of(&shop, "pot").await, 5);
    }
    // A revival takes the stock again, once.
    for _ in 0..3 {
        shop.revive(order).await.unwrap();
    }
    for _ in 0..3 {
        shop.mark_paid(order).await.unwrap();
    }
    assert_eq!(stock_of(&shop, "pot").await, 3);
    assert_balanced(&db.pool).await;
}

/// The shop read the cart outside of its lock, and a double click placed two orders.
#[tokio::test(flavor = "multi_thread")]
async fn shopware_19943_and_woocommerce_62659_a_double_click_is_one_order() {
    let (db, shop) = shop(&[("pot", 50), ("mug", 50)]).await;
    for lines in [vec![("pot", 1)], vec![("pot", 1), ("mug", 1)]] {
        let request: Checkout = cart(&lines);
        let answers = at_once(8, |_| {
            let (shop, request) = (shop.clone(), request.clone());
            async move { shop.checkout(request).await.unwrap() }
        })
        .await;
        assert_eq!(answers.iter().filter(|order| !order.replayed).count(), 1);
    }
    assert_eq!(
        (order_count(&db.pool).await, stock_of(&shop, "pot").await),
        (2, 48)
    );
    assert_balanced(&db.pool).await;
}
