//! Lists of orders and their movements.

use std::time::Duration;

use crate::inventory::{
    Adjustment, Inventory, MovementKind, OrderFilter, OrderId, OrderStatus, Page, ReturnRequest,
};
use uuid::Uuid;

use crate::testing::contract::goods::{add, cart, sku, stock, units};

/// Asserts all rules of this file.
pub(super) async fn fulfil(shop: &dyn Inventory) {
    orders_are_listed_by_customer_and_status(shop).await;
    every_step_writes_a_movement(shop).await;
    a_step_of_an_unknown_order_is_refused(shop).await;
}

async fn orders_are_listed_by_customer_and_status(shop: &dyn Inventory) {
    add(shop, "listed", 9).await;
    let mut ids = Vec::new();
    for _ in 0..4 {
        let request = cart(&[("listed", 1)]).with_customer("list");
        ids.push(shop.checkout(request).await.unwrap().id);
    }
    shop.mark_paid(ids[1]).await.unwrap();
    shop.cancel(ids[2], "test").await.unwrap();
    let list = async |filter: OrderFilter, page: Page<OrderId>| -> Vec<OrderId> {
        let orders = shop.orders(filter, page).await.unwrap();
        for order in &orders {
            assert_eq!(*order, shop.order(order.id).await.unwrap());
        }
        orders.iter().map(|order| order.id).collect()
    };
    let mine = || OrderFilter::all().with_customer("list");
    assert_eq!(list(mine(), Page::first(9)).await, ids);
    assert_eq!(list(mine(), Page::first(3)).await, ids[..3]);
    assert_eq!(list(mine(), Page::after(ids[1], 9)).await, ids[2..]);
    let open = mine().with_status(OrderStatus::PendingPayment);
    assert_eq!(list(open.clone(), Page::first(9)).await, [ids[0], ids[3]]);
    let two = open.with_status(OrderStatus::Cancelled);
    assert_eq!(list(two, Page::first(9)).await, [ids[0], ids[2], ids[3]]);
    let newest = || mine().newest_first();
    let reversed: Vec<_> = ids.iter().rev().copied().collect();
    assert_eq!(list(newest(), Page::first(9)).await, reversed);
    assert_eq!(list(newest(), Page::first(2)).await, reversed[..2]);
    assert_eq!(list(newest(), Page::after(ids[2], 1)).await, [ids[1]]);
    assert_eq!(list(newest(), Page::after(ids[0], 9)).await, []);
    let paid = newest().with_status(OrderStatus::Paid);
    assert_eq!(list(paid, Page::first(9)).await, [ids[1]]);
    for nobody in ["unknown", "", "list\0", &"x".repeat(501)] {
        let unknown = OrderFilter::all().with_customer(nobody);
        assert_eq!(list(unknown.clone(), Page::first(9)).await, []);
        assert_eq!(list(unknown.newest_first(), Page::first(9)).await, []);
    }
    let all = list(OrderFilter::all(), Page::first(Page::<OrderId>::MAX_LIMIT)).await;
    assert!(all.is_sorted() && ids.iter().all(|id| all.contains(id)));
    let newest = list(OrderFilter::all().newest_first(), Page::first(4)).await;
    assert!(newest.is_sorted_by(|a, b| a > b));
    assert_eq!(newest.first(), all.last());
}

async fn every_step_writes_a_movement(shop: &dyn Inventory) {
    add(shop, "ledger", 5).await;
    let pot = sku("ledger");
    let delivery = Adjustment::new(pot.clone(), 4, "delivery").unwrap();
    shop.adjust_stock(delivery).await.unwrap();
    let order = shop.checkout(cart(&[("ledger", 2)])).await.unwrap();
    let mut product = shop.product(&pot).await.unwrap();
    product.name = "Large pot".to_owned();
    let product = shop.update_product(&product).await.unwrap();
    let counted = stock(10);
    shop.count_stock(&pot, product.version, counted, "day")
        .await
        .unwrap();
    shop.cancel(order.id, "test").await.unwrap();
    shop.revive(order.id).await.unwrap();
    shop.mark_paid(order.id).await.unwrap();
    let back = ReturnRequest::new(order.id, [(pot.clone(), units(1))], "too small").unwrap();
    shop.return_items(back).await.unwrap();
    let version = shop.product(&pot).await.unwrap().version;
    shop.retire_product(&pot, version).await.unwrap();
    let ledger = shop.movements(&pot, Page::first(99)).await.unwrap();
    let movements: Vec<_> = ledger
        .iter()
        .map(|movement| {
            let (kind, delta) = (movement.kind, movement.delta);
            (
                kind,
                delta,
                movement.stock_after,
                movement.reason.as_deref(),
            )
        })
        .collect();
    assert_eq!(
        movements,
        [
            (MovementKind::Added, 5, 5, None),
            (MovementKind::Adjustment, 4, 9, Some("delivery")),
            (MovementKind::Sale, -2, 7, None),
            (MovementKind::Edit, 0, 7, None),
            (MovementKind::Count, 3, 10, Some("day")),
            (MovementKind::GivenBack, 2, 12, None),
            (MovementKind::Revived, -2, 10, None),
            (MovementKind::Returned, 1, 11, Some("too small")),
            (MovementKind::Retired, 0, 11, None),
        ]
    );
    for (movement, version) in ledger.iter().zip(1..) {
        assert_eq!((&movement.sku, movement.version.get()), (&pot, version));
        let of_order = matches!(
            movement.kind,
            MovementKind::Sale
                | MovementKind::GivenBack
                | MovementKind::Revived
                | MovementKind::Returned
        );
        assert_eq!(movement.order, of_order.then_some(order.id));
        assert!(movement.moved_at >= order.created_at - Duration::from_secs(60));
    }
    let page = Page::after(ledger[3].version, 2);
    assert_eq!(shop.movements(&pot, page).await.unwrap(), ledger[4..6]);
    let nowhere = shop.movements(&sku("ledger-no"), Page::first(9)).await;
    assert_eq!(nowhere.unwrap(), []);
}

async fn a_step_of_an_unknown_order_is_refused(shop: &dyn Inventory) {
    let id = OrderId::from(Uuid::from_u128(7));
    let back = ReturnRequest::new(id, [(sku("pot"), units(1))], "broken").unwrap();
    for answer in [
        shop.mark_paid(id).await,
        shop.mark_payment_failed(id).await,
        shop.cancel(id, "test").await,
        shop.revive(id).await,
        shop.return_items(back).await,
        shop.order(id).await,
    ] {
        match answer {
            Err(error) if error.is_not_found() => {
                let id = id.to_string();
                assert_eq!((error.entity(), error.id()), (Some("order"), Some(&*id)));
            }
            other => panic!("{other:?}"),
        }
    }
    let no_lines = ReturnRequest::new(id, [], "broken").unwrap_err();
    assert_eq!(no_lines.to_string(), "return has no lines");
}
