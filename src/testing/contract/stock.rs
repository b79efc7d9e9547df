//! Clauses about stock: adjusted and counted.

use crate::{
    Version,
    inventory::{Adjustment, ErrorKind, Inventory, Shortage},
};

use crate::testing::contract::goods::{add, cart, sku, stock, units};

/// Checks every clause of this file.
pub(super) async fn fulfil(shop: &dyn Inventory) {
    an_adjustment_is_made_once(shop).await;
    an_adjustment_stays_within_the_range_of_stock(shop).await;
    a_stale_count_is_refused(shop).await;
}

async fn an_adjustment_is_made_once(shop: &dyn Inventory) {
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
    assert_eq!(
        (mismatch.kind(), mismatch.entity()),
        (ErrorKind::IdempotencyMismatch, Some("adjustment")),
        "{mismatch:?}"
    );
}

async fn an_adjustment_stays_within_the_range_of_stock(shop: &dyn Inventory) {
    add(shop, "range", 25).await;
    let theft = Adjustment::new(sku("range"), -26, "theft").unwrap();
    let refused = shop.adjust_stock(theft).await.unwrap_err();
    let expected = [Shortage::new(sku("range"), units(26), 25)];
    assert!(refused.is_insufficient_stock(), "{refused:?}");
    assert_eq!(refused.shortages(), expected, "{refused:?}");
    let all = Adjustment::new(sku("range"), -25, "flood").unwrap();
    assert_eq!(shop.adjust_stock(all).await.unwrap().stock, stock(0));

    let flood = Adjustment::new(sku("range"), 1_000_000_000_000, "a trillion").unwrap();
    shop.adjust_stock(flood).await.unwrap();
    let more = Adjustment::new(sku("range"), 1, "one more").unwrap();
    let refused = shop.adjust_stock(more).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "adjustment takes the stock of range beyond 1000000000000"
    );
    let nowhere = Adjustment::new(sku("nowhere"), 1, "lost").unwrap();
    assert!(shop.adjust_stock(nowhere).await.unwrap_err().is_not_found());
}

async fn a_stale_count_is_refused(shop: &dyn Inventory) {
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
