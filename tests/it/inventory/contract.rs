//! What every inventory answers, whatever keeps it.

mod same_answers;

use std::{sync::Arc, time::Duration};

use optilock::{
    Version,
    cache::CachedStock,
    inventory::{
        Adjustment, BatchOptions, BatchedInventory, Checkout, Error, Inventory, Line,
        MemoryInventory, NewProduct, OrderId, OrderStatus, Page, PgInventory, Shortage, Sku,
        Strategy,
    },
};
use uuid::Uuid;

use crate::{
    inventory::order_life,
    inventory::reservations,
    support::db::{Db, Default, assert_books},
    support::goods::{add, cart, new_product, pesos, sku, stock, stock_of, units},
};

/// Every clause, on one inventory that begins empty.
async fn fulfil(shop: &dyn Inventory) {
    lists(shop).await;
    adds_and_reads(shop).await;
    edits(shop).await;
    retires_and_takes_up_again(shop).await;
    adjusts(shop).await;
    counts(shop).await;
    sells(shop).await;
    sells_carts(shop).await;
    refuses(shop).await;
    honours_expectations(shop).await;
    replays(shop).await;
    cleans_up(shop).await;
    order_life::fulfil(shop).await;
    reservations::fulfil(shop).await;
    refuses_bad_input(shop).await;
}

async fn lists(shop: &dyn Inventory) {
    assert_eq!(shop.products(Page::first(10)).await.unwrap(), []);
    // Byte order: capitals before small letters, accents last.
    for name in ["list-b", "list-É", "list-a", "list-C"] {
        add(shop, name, 1).await;
    }
    let names = async |page| -> Vec<String> {
        let found = shop.products(page).await.unwrap();
        found
            .iter()
            .map(|product| product.sku.to_string())
            .collect()
    };
    assert_eq!(
        names(Page::first(10)).await,
        ["list-C", "list-a", "list-b", "list-É"]
    );
    assert_eq!(names(Page::first(2)).await, ["list-C", "list-a"]);
    assert_eq!(
        names(Page::after(sku("list-a"), 2)).await,
        ["list-b", "list-É"]
    );
    assert_eq!(names(Page::first(0)).await, [""; 0]);
    let some = shop
        .products_of(&[sku("list-b"), sku("nowhere"), sku("list-C"), sku("list-b")])
        .await
        .unwrap();
    assert_eq!(
        some.iter()
            .map(|product| product.sku.as_str())
            .collect::<Vec<_>>(),
        ["list-C", "list-b"]
    );
}

async fn adds_and_reads(shop: &dyn Inventory) {
    let added = add(shop, "add", 7).await;
    assert_eq!(
        (added.name.as_str(), added.price),
        ("The add", pesos(1_000))
    );
    assert_eq!(
        (added.stock, added.reserved, added.available()),
        (stock(7), stock(0), 7)
    );
    assert_eq!(
        (added.version, added.revision),
        (Version::FIRST, Version::FIRST)
    );
    assert_eq!(added.created_at, added.updated_at);
    assert_eq!(shop.product(&sku("add")).await.unwrap(), added);
    assert_eq!(
        shop.product_at(&sku("add"), Version::FIRST).await.unwrap(),
        added
    );

    let again = shop.add_product(new_product("add", 9)).await.unwrap_err();
    assert!(
        matches!(&again, Error::AlreadyExists { entity: "product", id } if id == "add"),
        "{again:?}"
    );
    let moved = shop
        .product_at(&sku("add"), Version::new(5).unwrap())
        .await
        .unwrap_err();
    assert_eq!(
        moved.to_string(),
        "product add moved on: expected version 5, found 1"
    );
    let gone = shop.product(&sku("nowhere")).await.unwrap_err();
    assert!(
        matches!(&gone, Error::NotFound { entity: "product", id } if id == "nowhere"),
        "{gone:?}"
    );
    assert!(
        shop.product_at(&sku("nowhere"), Version::FIRST)
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert_eq!(stock_of(shop, "add").await, 7);
}

async fn edits(shop: &dyn Inventory) {
    let seen = add(shop, "edit", 5).await;
    shop.checkout(cart(&[("edit", 2)])).await.unwrap();
    let mut changed = seen.clone();
    changed.price = pesos(1_200);
    changed.name = "A better name".into();
    changed.stock = stock(500);
    let edited = shop.update_product(&changed).await.unwrap();
    assert_eq!(
        (edited.price, edited.name.as_str()),
        (pesos(1_200), "A better name")
    );
    assert_eq!(edited.stock, stock(3), "stock is never written from memory");
    assert_eq!(
        (edited.version.get(), edited.revision.get()),
        (3, 2),
        "a sale is no edit"
    );
    assert_eq!(shop.product(&sku("edit")).await.unwrap(), edited);

    let late = shop.update_product(&changed).await.unwrap_err();
    assert_eq!(
        late.to_string(),
        "catalogue entry edit moved on: expected version 1, found 2"
    );
    assert!(late.is_conflict());
    changed.sku = sku("nowhere");
    assert!(
        shop.update_product(&changed)
            .await
            .unwrap_err()
            .is_not_found()
    );
}

async fn retires_and_takes_up_again(shop: &dyn Inventory) {
    let product = add(shop, "retire", 4).await;
    let order = shop.checkout(cart(&[("retire", 1)])).await.unwrap();
    let stale = shop
        .retire_product(&sku("retire"), product.version)
        .await
        .unwrap_err();
    assert_eq!(
        stale.to_string(),
        "product retire moved on: expected version 1, found 2"
    );
    shop.retire_product(&sku("retire"), Version::new(2).unwrap())
        .await
        .unwrap();

    assert!(
        shop.product(&sku("retire"))
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert!(
        shop.checkout(cart(&[("retire", 1)]))
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert!(
        shop.update_product(&product)
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert!(
        shop.retire_product(&sku("retire"), Version::new(3).unwrap())
            .await
            .unwrap_err()
            .is_not_found()
    );
    let adjustment = Adjustment::new(sku("retire"), 1, "found").unwrap();
    assert!(
        shop.adjust_stock(adjustment)
            .await
            .unwrap_err()
            .is_not_found()
    );
    let count = shop
        .count_stock(&sku("retire"), Version::new(3).unwrap(), stock(1), "count")
        .await;
    assert!(count.unwrap_err().is_not_found());
    assert!(shop.products_of(&[sku("retire")]).await.unwrap().is_empty());
    assert_eq!(
        shop.order(order.id).await.unwrap().lines[0].sku,
        sku("retire"),
        "its orders stay"
    );

    let back = add(shop, "retire", 10).await;
    assert_eq!(
        (back.version.get(), back.revision.get(), back.stock),
        (4, 2, stock(10)),
        "it goes on"
    );
    assert_eq!(back.created_at, product.created_at);
    assert!(
        shop.update_product(&product)
            .await
            .unwrap_err()
            .is_conflict(),
        "an old copy does not win"
    );
}

async fn adjusts(shop: &dyn Inventory) {
    add(shop, "adjust", 5).await;
    let delivery = Adjustment::new(sku("adjust"), 20, "delivery").unwrap();
    let delivered = shop.adjust_stock(delivery.clone()).await.unwrap();
    assert_eq!((delivered.stock, delivered.version.get()), (stock(25), 2));
    let again = shop.adjust_stock(delivery.clone()).await.unwrap();
    assert_eq!(
        (again.stock, again.version.get()),
        (stock(25), 2),
        "once per id"
    );
    let other = Adjustment::new(sku("adjust"), 21, "delivery")
        .unwrap()
        .with_id(delivery.id());
    let mismatch = shop.adjust_stock(other).await.unwrap_err();
    assert!(
        matches!(
            mismatch,
            Error::IdempotencyMismatch {
                entity: "adjustment",
                ..
            }
        ),
        "{mismatch:?}"
    );

    let theft = Adjustment::new(sku("adjust"), -26, "theft").unwrap();
    let refused = shop.adjust_stock(theft).await.unwrap_err();
    let expected = [Shortage::new(sku("adjust"), units(26), 25)];
    assert!(
        matches!(&refused, Error::InsufficientStock(short) if *short == expected),
        "{refused:?}"
    );
    let all = Adjustment::new(sku("adjust"), -25, "flood").unwrap();
    assert_eq!(shop.adjust_stock(all).await.unwrap().stock, stock(0));

    let flood = Adjustment::new(sku("adjust"), 1_000_000_000_000, "a trillion").unwrap();
    shop.adjust_stock(flood).await.unwrap();
    let more = Adjustment::new(sku("adjust"), 1, "one more").unwrap();
    let refused = shop.adjust_stock(more).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "adjustment takes the stock of adjust beyond 1000000000000"
    );
    let nowhere = Adjustment::new(sku("nowhere"), 1, "lost").unwrap();
    assert!(shop.adjust_stock(nowhere).await.unwrap_err().is_not_found());
}

async fn counts(shop: &dyn Inventory) {
    let product = add(shop, "count", 5).await;
    shop.checkout(cart(&[("count", 1)])).await.unwrap();
    let stale = shop
        .count_stock(&product.sku, product.version, stock(5), "inventory day")
        .await
        .unwrap_err();
    assert_eq!(
        stale.to_string(),
        "product count moved on: expected version 1, found 2"
    );
    let counted = shop
        .count_stock(
            &product.sku,
            Version::new(2).unwrap(),
            stock(9),
            "inventory day",
        )
        .await
        .unwrap();
    assert_eq!((counted.stock, counted.version.get()), (stock(9), 3));
    assert!(
        shop.count_stock(&sku("nowhere"), Version::FIRST, stock(1), "day")
            .await
            .unwrap_err()
            .is_not_found()
    );
}

async fn sells(shop: &dyn Inventory) {
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

async fn sells_carts(shop: &dyn Inventory) {
    for name in ["cart-a", "cart-b", "cart-c"] {
        add(shop, name, 10).await;
    }
    // Repeated and out of order.
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
    // Two lines of six are twelve of ten.
    let merged = shop
        .checkout(cart(&[("cart-a", 6), ("cart-a", 6)]))
        .await
        .unwrap_err();
    assert_eq!(
        merged.to_string(),
        "insufficient stock: 12 of cart-a requested, 8 available"
    );
}

async fn refuses(shop: &dyn Inventory) {
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
    assert!(
        matches!(&refused, Error::InsufficientStock(short) if *short == expected),
        "every short line: {refused:?}"
    );
    let gone = shop
        .checkout(cart(&[("few-a", 9), ("nowhere", 1)]))
        .await
        .unwrap_err();
    assert!(
        matches!(&gone, Error::NotFound { id, .. } if id == "nowhere"),
        "{gone:?}"
    );
    let gone = shop.checkout(cart(&[("nowhere", 1)])).await.unwrap_err();
    assert!(gone.is_not_found(), "{gone:?}");
    for (name, units) in [("few-a", 1), ("few-b", 5), ("few-c", 0)] {
        let product = shop.product(&sku(name)).await.unwrap();
        assert_eq!(
            (product.stock.get(), product.version.get()),
            (units, 1),
            "nothing changed: {name}"
        );
    }
}

async fn honours_expectations(shop: &dyn Inventory) {
    let seen = add(shop, "expect", 10).await;
    add(shop, "expect-too", 10).await;
    let line = || Line::new(sku("expect"), units(1));
    let other = || Line::new(sku("expect-too"), units(1));
    let checkout = async |lines: Vec<Line>| shop.checkout(Checkout::new(lines).unwrap()).await;
    checkout(vec![
        line()
            .expecting_version(seen.version)
            .expecting_price(seen.price),
    ])
    .await
    .unwrap();
    // Other buyers' purchases move the version and not the price.
    checkout(vec![line().expecting_price(seen.price)])
        .await
        .unwrap();
    checkout(vec![line().expecting_price(seen.price), other()])
        .await
        .unwrap();
    for lines in [
        vec![line().expecting_version(seen.version)],
        vec![line().expecting_version(seen.version), other()],
    ] {
        let stale = checkout(lines).await.unwrap_err();
        assert_eq!(
            stale.to_string(),
            "product expect moved on: expected version 1, found 4"
        );
        assert_eq!(stale.http_status(), 409);
    }
    let mut changed = shop.product(&sku("expect")).await.unwrap();
    changed.price = pesos(1_100);
    shop.update_product(&changed).await.unwrap();
    for lines in [
        vec![line().expecting_price(seen.price)],
        vec![line().expecting_price(seen.price), other()],
    ] {
        let dearer = checkout(lines).await.unwrap_err();
        assert_eq!(
            dearer.to_string(),
            "the price of expect changed from 10.00 MXN to 11.00 MXN"
        );
        assert_eq!(dearer.http_status(), 409);
    }
    changed = shop.product(&sku("expect")).await.unwrap();
    changed.price = optilock::inventory::Money::new(1_100, "USD".parse().unwrap()).unwrap();
    shop.update_product(&changed).await.unwrap();
    let dollars = checkout(vec![line().expecting_price(pesos(1_100))])
        .await
        .unwrap_err();
    assert_eq!(
        dollars.to_string(),
        "the price of expect changed from 11.00 MXN to 11.00 USD"
    );
    let mixed = checkout(vec![line(), other()]).await.unwrap_err();
    assert_eq!(mixed.to_string(), "checkout mixes USD and MXN");
    assert_eq!(
        (
            stock_of(shop, "expect").await,
            stock_of(shop, "expect-too").await
        ),
        (7, 9)
    );
}

async fn replays(shop: &dyn Inventory) {
    add(shop, "replay", 1).await;
    add(shop, "replay-too", 1).await;
    for names in [vec![("replay", 1)], vec![("replay-too", 1)]] {
        let request = cart(&names).with_customer("ana");
        let order = shop.checkout(request.clone()).await.unwrap();
        // The last unit is gone, and taken by this very request.
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
            assert!(
                matches!(
                    mismatch,
                    Error::IdempotencyMismatch {
                        entity: "order",
                        ..
                    }
                ),
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

async fn cleans_up(shop: &dyn Inventory) {
    add(shop, "sweep", 5).await;
    add(shop, "sweep-too", 5).await;
    let order = shop
        .checkout(cart(&[("sweep", 2), ("sweep-too", 1)]))
        .await
        .unwrap();
    let later = shop.checkout(cart(&[("sweep", 3)])).await.unwrap();
    assert_eq!(
        shop.cleanup_failed_orders(Duration::from_secs(3_600))
            .await
            .unwrap()
            .orders,
        0,
        "too young"
    );
    let never = shop.cleanup_failed_orders(Duration::MAX).await.unwrap();
    let forgotten = shop.cleanup_idempotency_keys(Duration::MAX).await.unwrap();
    assert_eq!((never.orders, forgotten), (0, 0));
    let cleanup = shop.cleanup_failed_orders(Duration::ZERO).await.unwrap();
    assert!(cleanup.orders >= 2 && cleanup.units >= 6, "{cleanup:?}");
    assert_eq!(
        shop.cleanup_failed_orders(Duration::ZERO)
            .await
            .unwrap()
            .orders,
        0,
        "once"
    );
    for id in [order.id, later.id] {
        let order = shop.order(id).await.unwrap();
        assert_eq!(
            (order.status, order.version.get()),
            (OrderStatus::Cancelled, 2)
        );
    }
    let product = shop.product(&sku("sweep")).await.unwrap();
    assert_eq!(
        (product.stock.get(), product.version.get()),
        (5, 5),
        "each give-back is a change of its own"
    );
    assert_eq!(stock_of(shop, "sweep-too").await, 5);
}

async fn refuses_bad_input(shop: &dyn Inventory) {
    add(shop, "input", 1).await;
    for name in ["", "  ", "a\0b", "line\nbreak", &"x".repeat(501)] {
        let new = NewProduct::new(sku("input-new"), name, pesos(1));
        let refused = shop.add_product(new).await.unwrap_err();
        assert!(
            matches!(refused, Error::Invalid { what: "name", .. }),
            "{name:?}: {refused:?}"
        );
        let mut product = shop.product(&sku("input")).await.unwrap();
        product.name = name.into();
        let refused = shop.update_product(&product).await.unwrap_err();
        assert!(
            matches!(refused, Error::Invalid { what: "name", .. }),
            "{name:?}: {refused:?}"
        );
        let refused = shop
            .count_stock(&sku("input"), Version::FIRST, stock(1), name)
            .await
            .unwrap_err();
        assert!(
            matches!(refused, Error::Invalid { what: "reason", .. }),
            "{name:?}: {refused:?}"
        );
        let refused = shop
            .checkout(cart(&[("input", 1)]).with_customer(name))
            .await
            .unwrap_err();
        assert!(
            matches!(
                refused,
                Error::Invalid {
                    what: "customer",
                    ..
                }
            ),
            "{name:?}: {refused:?}"
        );
        assert_eq!(refused.http_status(), 400);
    }
    let dear = NewProduct::new(sku("input-dear"), "Crown", pesos(i64::MAX)).with_stock(stock(10));
    shop.add_product(dear).await.unwrap();
    shop.add_product(
        NewProduct::new(sku("input-dear-too"), "Orb", pesos(i64::MAX)).with_stock(stock(1)),
    )
    .await
    .unwrap();
    for lines in [
        vec![("input-dear", 2)],
        vec![("input-dear", 1), ("input-dear-too", 1)],
    ] {
        let refused = shop.checkout(cart(&lines)).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "checkout has a total beyond the largest amount"
        );
    }
    assert_eq!(
        shop.checkout(cart(&[("input-dear", 1)]))
            .await
            .unwrap()
            .total,
        pesos(i64::MAX)
    );
    let product = shop.product(&sku("input")).await.unwrap();
    assert_eq!(
        (product.stock.get(), product.version.get()),
        (1, 1),
        "nothing changed"
    );
    let sku = Sku::new("ñandú 🏺 '; DROP TABLE optilock.products; --").unwrap();
    let odd = NewProduct::new(sku.clone(), "Ñandú 🏺", pesos(1)).with_stock(stock(1));
    assert_eq!(
        shop.add_product(odd).await.unwrap(),
        shop.product(&sku).await.unwrap()
    );
    let adjustment = Adjustment::new(sku.clone(), 1, "odd")
        .unwrap()
        .with_id(Uuid::nil());
    assert_eq!(shop.adjust_stock(adjustment).await.unwrap().stock, stock(2));
}

#[tokio::test]
async fn memory() {
    fulfil(&MemoryInventory::new()).await;
}

/// A reference, a box and an `Arc` of an inventory, whose own type is known or not.
#[tokio::test]
async fn pointers() {
    async fn behind(shop: impl Inventory) {
        fulfil(&shop).await;
    }
    let shop = || MemoryInventory::new();
    behind(&shop()).await;
    behind(&shop() as &dyn Inventory).await;
    behind(Box::new(shop())).await;
    behind(Box::new(shop()) as Box<dyn Inventory>).await;
    behind(Arc::new(shop())).await;
    behind(Arc::new(shop()) as Arc<dyn Inventory>).await;
    behind(Box::new(Arc::new(&shop() as &dyn Inventory))).await;
    behind(CachedStock::new(&shop() as &dyn Inventory)).await;
    behind(CachedStock::new(Box::new(shop()) as Box<dyn Inventory>)).await;
    behind(CachedStock::new(Arc::new(shop()) as Arc<dyn Inventory>)).await;
    let cached = CachedStock::new(Box::new(shop()) as Box<dyn Inventory>);
    add(&cached, "pot", 2).await;
    assert_eq!(cached.display(&sku("pot")).await.unwrap().shown(), 2);
}

macro_rules! on_postgres {
    ($($name:ident: $strategy:ident under $default:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let db = Db::with(Default::$default, 4).await;
            fulfil(&PgInventory::new(db.pool.clone()).with_strategy(Strategy::$strategy)).await;
            assert_books(&db.pool).await;
        }
    )*};
}

macro_rules! combined {
    ($($name:ident: $options:expr, under $default:ident;)*) => {$(
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let db = Db::with(Default::$default, 4).await;
            let shop = BatchedInventory::new(PgInventory::new(db.pool.clone()), $options);
            fulfil(&shop).await;
            shop.shutdown().await;
            assert_books(&db.pool).await;
        }
    )*};
}

combined! {
    combined_under_read_committed: BatchOptions::new(), under ReadCommitted;
    batched_under_read_committed: BatchOptions::new().always(), under ReadCommitted;
    batched_under_repeatable_read: BatchOptions::new().always(), under RepeatableRead;
    batched_under_serializable: BatchOptions::new().always(), under Serializable;
}

on_postgres! {
    guarded_under_read_committed: Guarded under ReadCommitted;
    guarded_under_repeatable_read: Guarded under RepeatableRead;
    guarded_under_serializable: Guarded under Serializable;
    optimistic_under_read_committed: Optimistic under ReadCommitted;
    optimistic_under_repeatable_read: Optimistic under RepeatableRead;
    optimistic_under_serializable: Optimistic under Serializable;
    pessimistic_under_read_committed: Pessimistic under ReadCommitted;
    pessimistic_under_repeatable_read: Pessimistic under RepeatableRead;
    pessimistic_under_serializable: Pessimistic under Serializable;
}
