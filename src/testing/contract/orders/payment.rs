//! Payments of an order.

use std::time::Duration;

use crate::inventory::{Inventory, OrderStatus};

use super::assert_status;
use crate::testing::contract::goods::{add, cart, stock_of};

/// Asserts all rules of this file.
pub(super) async fn fulfil(shop: &dyn Inventory) {
    a_pending_order_is_paid(shop).await;
    a_failed_payment_can_succeed_later(shop).await;
}

async fn a_pending_order_is_paid(shop: &dyn Inventory) {
    add(shop, "paid", 5).await;
    let order = shop.checkout(cart(&[("paid", 2)])).await.unwrap();
    let paid = shop.mark_paid(order.id).await.unwrap();
    assert_eq!((paid.status, paid.version.get()), (OrderStatus::Paid, 2));
    assert!(!paid.replayed);
    // A repeated payment event.
    let again = shop.mark_paid(order.id).await.unwrap();
    assert!(again.replayed && again.version == paid.version);
    assert_status(
        shop.mark_payment_failed(order.id).await,
        order.id,
        OrderStatus::Paid,
    );
    assert_status(
        shop.cancel(order.id, "changed my mind").await,
        order.id,
        OrderStatus::Paid,
    );
    assert_status(shop.revive(order.id).await, order.id, OrderStatus::Paid);
    shop.cleanup_failed_orders(Duration::ZERO).await.unwrap();
    assert_eq!(
        shop.order(order.id).await.unwrap().status,
        OrderStatus::Paid
    );
    assert_eq!(stock_of(shop, "paid").await, 3);
}

async fn a_failed_payment_can_succeed_later(shop: &dyn Inventory) {
    add(shop, "failed", 5).await;
    let order = shop.checkout(cart(&[("failed", 2)])).await.unwrap();
    let failed = shop.mark_payment_failed(order.id).await.unwrap();
    assert_eq!(failed.status, OrderStatus::PaymentFailed);
    assert!(shop.mark_payment_failed(order.id).await.unwrap().replayed);
    assert_status(
        shop.revive(order.id).await,
        order.id,
        OrderStatus::PaymentFailed,
    );
    assert_eq!(
        stock_of(shop, "failed").await,
        3,
        "the order keeps its stock"
    );
    assert_eq!(
        shop.mark_paid(order.id).await.unwrap().status,
        OrderStatus::Paid
    );
}
