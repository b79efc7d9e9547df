//! Cancellations and revivals of an order.

use std::time::Duration;

use crate::inventory::{ErrorKind, Inventory, OrderStatus, Page};

use super::assert_status;
use crate::testing::contract::goods::{add, cart, sku, stock_of};

/// Asserts all rules of this file.
pub(super) async fn fulfil(shop: &dyn Inventory) {
    a_cancellation_returns_the_stock_once(shop).await;
    an_order_of_a_retired_product_is_cancelled(shop).await;
    a_revival_takes_the_stock_again(shop).await;
    an_order_of_a_retired_product_is_not_revived(shop).await;
}

async fn a_cancellation_returns_the_stock_once(shop: &dyn Inventory) {
    add(shop, "cancelled", 5).await;
    add(shop, "cancelled-too", 5).await;
    for failed in [false, true] {
        let order = shop
            .checkout(cart(&[("cancelled", 2), ("cancelled-too", 1)]))
            .await
            .unwrap();
        if failed {
            shop.mark_payment_failed(order.id).await.unwrap();
        }
        for bad in ["", "a\nb"] {
            let refused = shop.cancel(order.id, bad).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused:?}");
            assert_eq!(refused.invalid_part().unwrap().0, "reason");
        }
        let cancelled = shop.cancel(order.id, "too late").await.unwrap();
        assert_eq!(cancelled.status, OrderStatus::Cancelled);
        assert_eq!(cancelled.reason.as_deref(), Some("too late"));
        let again = shop.cancel(order.id, "again").await.unwrap();
        assert!(again.replayed);
        assert_eq!(again.reason.as_deref(), Some("too late"));
        assert_status(
            shop.mark_paid(order.id).await,
            order.id,
            OrderStatus::Cancelled,
        );
        assert_status(
            shop.mark_payment_failed(order.id).await,
            order.id,
            OrderStatus::Cancelled,
        );
        assert_eq!(stock_of(shop, "cancelled").await, 5);
        assert_eq!(stock_of(shop, "cancelled-too").await, 5);
    }
}

/// The product of the order is retired before the cancellation.
async fn an_order_of_a_retired_product_is_cancelled(shop: &dyn Inventory) {
    add(shop, "cancelled-retired", 5).await;
    let order = shop
        .checkout(cart(&[("cancelled-retired", 5)]))
        .await
        .unwrap();
    let version = shop
        .product(&sku("cancelled-retired"))
        .await
        .unwrap()
        .version;
    shop.retire_product(&sku("cancelled-retired"), version)
        .await
        .unwrap();
    shop.cancel(order.id, "gone").await.unwrap();
    let ledger = shop
        .movements(&sku("cancelled-retired"), Page::first(99))
        .await;
    assert_eq!(ledger.unwrap().last().unwrap().stock_after, 5);
}

async fn a_revival_takes_the_stock_again(shop: &dyn Inventory) {
    add(shop, "revived", 2).await;
    add(shop, "revived-too", 9).await;
    let lines = [("revived", 2), ("revived-too", 3)];
    let order = shop.checkout(cart(&lines)).await.unwrap();
    let pending = shop.revive(order.id).await.unwrap();
    assert!(pending.replayed, "a pending order is not revived");
    shop.cancel(order.id, "expired").await.unwrap();
    // Another checkout takes one of the units.
    let other = shop.checkout(cart(&[("revived", 1)])).await.unwrap();
    match shop.revive(order.id).await {
        Err(error) if error.is_insufficient_stock() => {
            let short = error.shortages();
            assert_eq!(short.len(), 1);
            assert_eq!((short[0].sku.as_str(), short[0].available), ("revived", 1));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(stock_of(shop, "revived-too").await, 9, "nothing was taken");
    shop.cancel(other.id, "back").await.unwrap();
    let revived = shop.revive(order.id).await.unwrap();
    assert_eq!(
        (revived.status, revived.reason, revived.version.get()),
        (OrderStatus::PendingPayment, None, 3)
    );
    assert_eq!((revived.total, &revived.lines), (order.total, &order.lines));
    assert_eq!(stock_of(shop, "revived").await, 0);
    assert_eq!(stock_of(shop, "revived-too").await, 6);
    // The time limit of the payment starts at the revival.
    shop.cleanup_failed_orders(Duration::from_secs(3_600))
        .await
        .unwrap();
    shop.mark_paid(order.id).await.unwrap();
}

async fn an_order_of_a_retired_product_is_not_revived(shop: &dyn Inventory) {
    add(shop, "revived-not", 1).await;
    let order = shop.checkout(cart(&[("revived-not", 1)])).await.unwrap();
    shop.cancel(order.id, "expired").await.unwrap();
    let version = shop.product(&sku("revived-not")).await.unwrap().version;
    shop.retire_product(&sku("revived-not"), version)
        .await
        .unwrap();
    let refused = shop.revive(order.id).await.unwrap_err();
    assert!(refused.is_insufficient_stock(), "{refused:?}");
}
