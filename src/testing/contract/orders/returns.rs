//! Returned items of an order.

use crate::inventory::{ErrorKind, Inventory, Order, OrderStatus, ReturnRequest};

use super::assert_status;
use crate::testing::contract::goods::{add, cart, sku, stock_of, units};

/// Asserts all rules of this file.
pub(super) async fn fulfil(shop: &dyn Inventory) {
    items_are_returned_once(shop).await;
}

async fn items_are_returned_once(shop: &dyn Inventory) {
    add(shop, "returned", 9).await;
    add(shop, "returned-too", 9).await;
    let order = shop
        .checkout(cart(&[("returned", 5), ("returned-too", 1)]))
        .await
        .unwrap();
    let back = |lines: &[(&str, i64)]| {
        let lines = lines.iter().map(|(name, count)| (sku(name), units(*count)));
        ReturnRequest::new(order.id, lines, "broken").unwrap()
    };
    assert_status(
        shop.return_items(back(&[("returned", 1)])).await,
        order.id,
        OrderStatus::PendingPayment,
    );
    shop.mark_paid(order.id).await.unwrap();
    let first = back(&[("returned", 1), ("returned-too", 1), ("returned", 1)]);
    let once = shop.return_items(first.clone()).await.unwrap();
    let returned =
        |order: &Order| -> Vec<i64> { order.lines.iter().map(|line| line.returned).collect() };
    assert_eq!(returned(&once), [2, 1]);
    assert_eq!((once.status, once.version.get()), (OrderStatus::Paid, 3));
    let again = shop.return_items(first.clone()).await.unwrap();
    assert!(again.replayed && again.version == once.version);
    let other = back(&[("returned", 1)]).with_id(first.id());
    match shop.return_items(other).await {
        Err(error) if error.kind() == ErrorKind::IdempotencyMismatch => {
            assert_eq!(error.entity(), Some("return"));
        }
        other => panic!("{other:?}"),
    }
    // All returns together are limited to the units of the order. The error names every line.
    let greedy = back(&[("returned", 4), ("returned-too", 1), ("elsewhere", 1)]);
    match shop.return_items(greedy).await {
        Err(error) if error.kind() == ErrorKind::ReturnExceedsOrder => assert_eq!(
            error.to_string(),
            "more than the order has left: 1 of elsewhere requested, 0 available, \
             4 of returned requested, 3 available, 1 of returned-too requested, 0 available"
        ),
        other => panic!("{other:?}"),
    }
    assert_eq!(stock_of(shop, "returned").await, 6);
    let rest = shop.return_items(back(&[("returned", 3)])).await.unwrap();
    assert_eq!(returned(&rest), [5, 1]);
    assert_eq!(stock_of(shop, "returned").await, 9);
    assert_eq!(stock_of(shop, "returned-too").await, 9);
}
