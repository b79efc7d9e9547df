//! Clauses about checkouts: sold, refused and replayed.

use crate::{
    Version,
    inventory::{ErrorKind, Inventory, OrderId, OrderStatus, Shortage},
};

use crate::testing::contract::goods::{add, cart, pesos, sku, stock, stock_of, units};

/// Checks every clause of this file.
pub(super) async fn fulfil(shop: &dyn Inventory) {
    a_checkout_sells_what_is_in_stock(shop).await;
    lines_of_one_product_are_merged(shop).await;
    a_refusal_names_every_short_line(shop).await;
    a_replayed_checkout_returns_its_order(shop).await;
}

async fn a_checkout_sells_what_is_in_stock(shop: &dyn Inventory) {
    add(shop, "sell", 3).await;
    let request = cart(&[("sell", 2)]).with_customer("ana");
    let order = shop.checkout(request.clone()).await.unwrap();
    assert_eq!(order.id, request.order_id());
    assert_eq!(
        (order.status, order.version, order.replayed),
        (OrderStatus::PendingPayment, Version::FIRST, false)
    );
    assert_eq!(order.customer.as_deref(), Some("ana"));
    assert_eq!(order.total, pesos(2_000));
    let line = &order.lines[0];
    assert_eq!(
        (&line.sku, line.quantity, line.price),
        (&sku("sell"), units(2), pesos(1_000))
    );
    assert_eq!(shop.order(order.id).await.unwrap(), order);
    let left = shop.product(&sku("sell")).await.unwrap();
    assert_eq!(
        (left.stock, left.version.get(), left.revision.get()),
        (stock(1), 2, 1)
    );

    let refused = shop.checkout(cart(&[("sell", 2)])).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "insufficient stock: 2 of sell requested, 1 available"
    );
    assert_eq!(
        (refused.http_status(), refused.code()),
        (400, "insufficient-stock")
    );
    shop.checkout(cart(&[("sell", 1)])).await.unwrap();
    assert_eq!(stock_of(shop, "sell").await, 0);
    assert!(shop.order(OrderId::new()).await.unwrap_err().is_not_found());
}

async fn lines_of_one_product_are_merged(shop: &dyn Inventory) {
    for name in ["cart-a", "cart-b", "cart-c"] {
        add(shop, name, 10).await;
    }
    let order = shop
        .checkout(cart(&[
            ("cart-c", 1),
            ("cart-a", 2),
            ("cart-c", 3),
            ("cart-b", 1),
        ]))
        .await
        .unwrap();
    let lines: Vec<_> = order
        .lines
        .iter()
        .map(|line| (line.sku.as_str(), line.quantity.get()))
        .collect();
    assert_eq!(lines, [("cart-a", 2), ("cart-b", 1), ("cart-c", 4)]);
    assert_eq!(order.total, pesos(7_000));
    assert_eq!(shop.order(order.id).await.unwrap(), order);
    for (name, left) in [("cart-a", 8), ("cart-b", 9), ("cart-c", 6)] {
        let product = shop.product(&sku(name)).await.unwrap();
        assert_eq!(
            (product.stock.get(), product.version.get()),
            (left, 2),
            "{name}"
        );
    }
    let merged = shop
        .checkout(cart(&[("cart-a", 6), ("cart-a", 6)]))
        .await
        .unwrap_err();
    assert_eq!(
        merged.to_string(),
        "insufficient stock: 12 of cart-a requested, 8 available"
    );
}

async fn a_refusal_names_every_short_line(shop: &dyn Inventory) {
    for (name, units) in [("few-a", 1), ("few-b", 5), ("few-c", 0)] {
        add(shop, name, units).await;
    }
    let refused = shop
        .checkout(cart(&[("few-c", 1), ("few-b", 5), ("few-a", 3)]))
        .await
        .unwrap_err();
    let expected = [
        Shortage::new(sku("few-a"), units(3), 1),
        Shortage::new(sku("few-c"), units(1), 0),
    ];
    assert!(refused.is_insufficient_stock(), "{refused:?}");
    assert_eq!(refused.shortages(), expected, "{refused:?}");
    let gone = shop
        .checkout(cart(&[("few-a", 9), ("nowhere", 1)]))
        .await
        .unwrap_err();
    assert!(gone.is_not_found(), "{gone:?}");
    assert_eq!(gone.id(), Some("nowhere"), "{gone:?}");
    let gone = shop.checkout(cart(&[("nowhere", 1)])).await.unwrap_err();
    assert!(gone.is_not_found(), "{gone:?}");
    for (name, units) in [("few-a", 1), ("few-b", 5), ("few-c", 0)] {
        let product = shop.product(&sku(name)).await.unwrap();
        assert_eq!(
            (product.stock.get(), product.version.get()),
            (units, 1),
            "{name} is unchanged"
        );
    }
}

async fn a_replayed_checkout_returns_its_order(shop: &dyn Inventory) {
    add(shop, "replay", 1).await;
    add(shop, "replay-too", 1).await;
    for names in [vec![("replay", 1)], vec![("replay-too", 1)]] {
        let request = cart(&names).with_customer("ana");
        let order = shop.checkout(request.clone()).await.unwrap();
        // The first call took the last unit.
        let again = shop.checkout(request.clone()).await.unwrap();
        assert!(again.replayed && !order.replayed);
        assert_eq!(
            (again.id, &again.lines, again.total),
            (order.id, &order.lines, order.total)
        );
        let others = [
            cart(&names).with_order_id(order.id),
            cart(&[(names[0].0, 2)])
                .with_order_id(order.id)
                .with_customer("ana"),
            cart(&[("sell", 1), names[0]])
                .with_order_id(order.id)
                .with_customer("ana"),
        ];
        for other in others {
            let mismatch = shop.checkout(other).await.unwrap_err();
            assert_eq!(
                (mismatch.kind(), mismatch.entity()),
                (ErrorKind::IdempotencyMismatch, Some("order")),
                "{mismatch:?}"
            );
            assert_eq!(mismatch.http_status(), 422);
        }
    }
    add(shop, "replay-a", 2).await;
    add(shop, "replay-b", 1).await;
    let request = cart(&[("replay-a", 1), ("replay-b", 1)]);
    let order = shop.checkout(request.clone()).await.unwrap();
    let again = shop.checkout(request).await.unwrap();
    assert!(again.replayed && again.id == order.id);
    assert_eq!(
        (
            stock_of(shop, "replay-a").await,
            stock_of(shop, "replay-b").await
        ),
        (1, 0)
    );
}
