//! The life of an order after its checkout, in every inventory.

use std::time::Duration;

use optilock::inventory::{
    Error, Inventory, MovementKind, Order, OrderFilter, OrderId, OrderStatus, Page, ReturnRequest,
};
use uuid::Uuid;

use crate::support::goods::{add, cart, sku, stock_of, units};

/// Every clause, on one inventory.
pub async fn fulfil(shop: &dyn Inventory) {
    is_paid(shop).await;
    fails_and_is_paid_after_all(shop).await;
    is_cancelled_once(shop).await;
    is_revived(shop).await;
    has_items_returned(shop).await;
    is_found_by_its_key(shop).await;
    is_listed(shop).await;
    has_a_ledger(shop).await;
    does_not_exist(shop).await;
}

#[track_caller]
fn assert_closed(answer: Result<Order, Error>, id: OrderId, status: OrderStatus) {
    match answer {
        Err(error @ Error::InvalidOrderState { .. }) => {
            assert_eq!(error.to_string(), format!("order {id} is {status}"));
            assert_eq!(
                (error.http_status(), error.code()),
                (409, "invalid-order-state")
            );
        }
        other => panic!("{other:?}"),
    }
}

async fn is_paid(shop: &dyn Inventory) {
    add(shop, "paid", 5).await;
    let order = shop.checkout(cart(&[("paid", 2)])).await.unwrap();
    let paid = shop.mark_paid(order.id).await.unwrap();
    assert_eq!((paid.status, paid.version.get()), (OrderStatus::Paid, 2));
    assert!(!paid.replayed);
    // A webhook that is sent twice.
    let again = shop.mark_paid(order.id).await.unwrap();
    assert!(again.replayed && again.version == paid.version);
    assert_closed(
        shop.mark_payment_failed(order.id).await,
        order.id,
        OrderStatus::Paid,
    );
    assert_closed(
        shop.cancel(order.id, "changed my mind").await,
        order.id,
        OrderStatus::Paid,
    );
    assert_closed(shop.revive(order.id).await, order.id, OrderStatus::Paid);
    shop.cleanup_failed_orders(Duration::ZERO).await.unwrap();
    assert_eq!(
        shop.order(order.id).await.unwrap().status,
        OrderStatus::Paid
    );
    assert_eq!(stock_of(shop, "paid").await, 3);
}

async fn fails_and_is_paid_after_all(shop: &dyn Inventory) {
    add(shop, "failed", 5).await;
    let order = shop.checkout(cart(&[("failed", 2)])).await.unwrap();
    let failed = shop.mark_payment_failed(order.id).await.unwrap();
    assert_eq!(failed.status, OrderStatus::PaymentFailed);
    assert!(shop.mark_payment_failed(order.id).await.unwrap().replayed);
    assert_closed(
        shop.revive(order.id).await,
        order.id,
        OrderStatus::PaymentFailed,
    );
    assert_eq!(stock_of(shop, "failed").await, 3, "it keeps its stock");
    assert_eq!(
        shop.mark_paid(order.id).await.unwrap().status,
        OrderStatus::Paid
    );
}

async fn is_cancelled_once(shop: &dyn Inventory) {
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
            assert!(matches!(refused, Error::Invalid { what: "reason", .. }));
        }
        let cancelled = shop.cancel(order.id, "too late").await.unwrap();
        assert_eq!(cancelled.status, OrderStatus::Cancelled);
        assert_eq!(cancelled.reason.as_deref(), Some("too late"));
        let again = shop.cancel(order.id, "again").await.unwrap();
        assert!(again.replayed);
        assert_eq!(again.reason.as_deref(), Some("too late"));
        assert_closed(
            shop.mark_paid(order.id).await,
            order.id,
            OrderStatus::Cancelled,
        );
        assert_closed(
            shop.mark_payment_failed(order.id).await,
            order.id,
            OrderStatus::Cancelled,
        );
        assert_eq!(stock_of(shop, "cancelled").await, 5);
        assert_eq!(stock_of(shop, "cancelled-too").await, 5);
    }
    // Also when the product is no longer sold.
    let order = shop.checkout(cart(&[("cancelled", 5)])).await.unwrap();
    let version = shop.product(&sku("cancelled")).await.unwrap().version;
    shop.retire_product(&sku("cancelled"), version)
        .await
        .unwrap();
    shop.cancel(order.id, "gone").await.unwrap();
    let ledger = shop.movements(&sku("cancelled"), Page::first(99)).await;
    assert_eq!(ledger.unwrap().last().unwrap().stock_after, 5);
}

async fn is_revived(shop: &dyn Inventory) {
    add(shop, "revived", 2).await;
    add(shop, "revived-too", 9).await;
    let lines = [("revived", 2), ("revived-too", 3)];
    let order = shop.checkout(cart(&lines)).await.unwrap();
    let pending = shop.revive(order.id).await.unwrap();
    assert!(pending.replayed, "it awaits payment already");
    shop.cancel(order.id, "expired").await.unwrap();
    // Somebody else bought meanwhile.
    let other = shop.checkout(cart(&[("revived", 1)])).await.unwrap();
    match shop.revive(order.id).await {
        Err(Error::InsufficientStock(short)) => {
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
    // It awaits payment from now on, not since it was made.
    shop.cleanup_failed_orders(Duration::from_secs(3_600))
        .await
        .unwrap();
    shop.mark_paid(order.id).await.unwrap();

    // What is no longer sold can't be taken again.
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

async fn has_items_returned(shop: &dyn Inventory) {
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
    assert_closed(
        shop.return_items(back(&[("returned", 1)])).await,
        order.id,
        OrderStatus::PendingPayment,
    );
    shop.mark_paid(order.id).await.unwrap();
    let first = back(&[("returned", 1), ("returned-too", 1), ("returned", 1)]);
    let once = shop.return_items(first.clone()).await.unwrap();
    let returned =
        |order: &Order| -> Vec<i64> { order.lines.iter().map(|it| it.returned).collect() };
    assert_eq!(returned(&once), [2, 1]);
    assert_eq!((once.status, once.version.get()), (OrderStatus::Paid, 3));
    let again = shop.return_items(first.clone()).await.unwrap();
    assert!(again.replayed && again.version == once.version);
    let other = back(&[("returned", 1)]).with_id(first.id());
    match shop.return_items(other).await {
        Err(Error::IdempotencyMismatch { entity, .. }) => assert_eq!(entity, "return"),
        other => panic!("{other:?}"),
    }
    // Over all returns no more than the order had; every line is told.
    let greedy = back(&[("returned", 4), ("returned-too", 1), ("elsewhere", 1)]);
    match shop.return_items(greedy).await {
        Err(error @ Error::ReturnExceedsOrder(_)) => assert_eq!(
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

async fn is_found_by_its_key(shop: &dyn Inventory) {
    add(shop, "keyed", 3).await;
    add(shop, "keyed-too", 3).await;
    for lines in [vec![("keyed", 1)], vec![("keyed", 1), ("keyed-too", 1)]] {
        let key = format!("key of {} lines", lines.len());
        let request = || {
            cart(&lines)
                .with_customer("ana")
                .with_idempotency_key(key.clone())
        };
        let order = shop.checkout(request()).await.unwrap();
        let again = shop.checkout(request()).await.unwrap();
        assert!(again.replayed && again.id == order.id);
        let mismatch = shop.checkout(
            cart(&[("keyed-too", 2)])
                .with_customer("ana")
                .with_idempotency_key(key.clone()),
        );
        match mismatch.await {
            Err(Error::IdempotencyMismatch { entity, id }) => {
                assert_eq!((entity, id), ("idempotency key", key.clone()));
            }
            other => panic!("{other:?}"),
        }
        // Another customer's key is another key; so is that of no customer.
        let others = [
            cart(&[("keyed-too", 1)]).with_customer("benito"),
            cart(&[("keyed-too", 1)]),
        ];
        for other in others {
            let refund = shop.checkout(other.with_idempotency_key(key.clone())).await;
            let other = refund.unwrap();
            assert!(!other.replayed && other.id != order.id);
            shop.cancel(other.id, "test").await.unwrap();
        }
    }
    // A refusal is not remembered.
    let request = || cart(&[("keyed", 2)]).with_idempotency_key("refused");
    assert!(
        shop.checkout(request())
            .await
            .unwrap_err()
            .is_insufficient_stock()
    );
    let delivery = optilock::inventory::Adjustment::new(sku("keyed"), 1, "delivery");
    shop.adjust_stock(delivery.unwrap()).await.unwrap();
    let order = shop.checkout(request()).await.unwrap();
    assert!(!order.replayed);
    // Forgotten, a key makes a new order.
    assert_eq!(
        shop.cleanup_idempotency_keys(Duration::from_secs(3_600))
            .await
            .unwrap(),
        0
    );
    assert!(shop.cleanup_idempotency_keys(Duration::ZERO).await.unwrap() >= 3);
    assert!(
        shop.checkout(request())
            .await
            .unwrap_err()
            .is_insufficient_stock()
    );
    for bad in ["", "\n", &"x".repeat(501)] {
        let refused = shop.checkout(cart(&[("keyed", 1)]).with_idempotency_key(bad));
        match refused.await {
            Err(Error::Invalid { what, .. }) => assert_eq!(what, "idempotency key"),
            other => panic!("{other:?}"),
        }
    }
}

async fn is_listed(shop: &dyn Inventory) {
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
    let nobody = OrderFilter::all().with_customer("nobody");
    assert_eq!(list(nobody, Page::first(9)).await, []);
    let all = list(OrderFilter::all(), Page::first(Page::<OrderId>::MAX_LIMIT)).await;
    assert!(all.is_sorted() && ids.iter().all(|id| all.contains(id)));
}

async fn has_a_ledger(shop: &dyn Inventory) {
    add(shop, "ledger", 5).await;
    let pot = sku("ledger");
    let delivery = optilock::inventory::Adjustment::new(pot.clone(), 4, "delivery").unwrap();
    shop.adjust_stock(delivery).await.unwrap();
    let order = shop.checkout(cart(&[("ledger", 2)])).await.unwrap();
    let mut product = shop.product(&pot).await.unwrap();
    product.name = "Large pot".to_owned();
    let product = shop.update_product(&product).await.unwrap();
    let counted = crate::support::goods::stock(10);
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
    let told: Vec<_> = ledger
        .iter()
        .map(|it| (it.kind, it.delta, it.stock_after, it.reason.as_deref()))
        .collect();
    assert_eq!(
        told,
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
        assert!(movement.moved_at >= order.created_at - chrono::TimeDelta::minutes(1));
    }
    let page = Page::after(ledger[3].version, 2);
    assert_eq!(shop.movements(&pot, page).await.unwrap(), ledger[4..6]);
    let nowhere = shop.movements(&sku("ledger-no"), Page::first(9)).await;
    assert_eq!(nowhere.unwrap(), []);
}

async fn does_not_exist(shop: &dyn Inventory) {
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
            Err(Error::NotFound { entity, id: found }) => {
                assert_eq!((entity, found), ("order", id.to_string()));
            }
            other => panic!("{other:?}"),
        }
    }
    let no_lines = ReturnRequest::new(id, [], "broken").unwrap_err();
    assert_eq!(no_lines.to_string(), "return has no lines");
}
