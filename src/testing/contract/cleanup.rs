//! Clauses about the cleanup of failed orders.

use std::time::Duration;

use crate::inventory::{Inventory, OrderStatus};

use crate::testing::contract::goods::{add, cart, sku, stock_of};

/// Checks every clause of this file.
pub(super) async fn fulfil(shop: &dyn Inventory) {
    add(shop, "clean", 5).await;
    add(shop, "clean-too", 5).await;
    let order = shop
        .checkout(cart(&[("clean", 2), ("clean-too", 1)]))
        .await
        .unwrap();
    let later = shop.checkout(cart(&[("clean", 3)])).await.unwrap();
    assert_eq!(
        shop.cleanup_failed_orders(Duration::from_secs(3_600))
            .await
            .unwrap()
            .orders,
        0,
        "the orders are too recent"
    );
    let none = shop.cleanup_failed_orders(Duration::MAX).await.unwrap();
    let forgotten = shop.cleanup_idempotency_keys(Duration::MAX).await.unwrap();
    assert_eq!((none.orders, forgotten), (0, 0));
    let cleanup = shop.cleanup_failed_orders(Duration::ZERO).await.unwrap();
    assert!(cleanup.orders >= 2 && cleanup.units >= 6, "{cleanup:?}");
    assert_eq!(
        shop.cleanup_failed_orders(Duration::ZERO)
            .await
            .unwrap()
            .orders,
        0,
        "an order is cancelled once"
    );
    for id in [order.id, later.id] {
        let order = shop.order(id).await.unwrap();
        assert_eq!(
            (order.status, order.version.get()),
            (OrderStatus::Cancelled, 2)
        );
    }
    let product = shop.product(&sku("clean")).await.unwrap();
    assert_eq!(
        (product.stock.get(), product.version.get()),
        (5, 5),
        "each cancellation is one change"
    );
    assert_eq!(stock_of(shop, "clean-too").await, 5);
}
