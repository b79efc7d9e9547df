//! Changes of a product, which carry a token instead of an order's id.

use std::error::Error as _;

use optilock::inventory::{Adjustment, ErrorKind, Inventory, Strategy};

use super::{Late, ProxiedShop};
use crate::{
    support::db::assert_balanced,
    support::goods::{cart, new_product, pesos, sku, stock},
    support::proxy::Cut,
};

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_a_product_take_effect_once() {
    for cut in [Cut::Before, Cut::Reply] {
        let proxied = ProxiedShop::new(Strategy::Guarded).await;
        let (shop, proxy) = (&proxied.shop, &proxied.proxy);
        proxy.trap(b"jug", cut.clone());
        let jug = shop.add_product(new_product("jug", 5)).await.unwrap();
        assert_eq!((jug.version.get(), proxy.armed()), (1, false), "{cut:?}");

        let mut changed = jug.clone();
        changed.price = pesos(2_000);
        proxy.trap(b"jug", cut.clone());
        let edited = shop.update_product(&changed).await.unwrap();
        assert_eq!(
            (edited.revision.get(), edited.price, proxy.armed()),
            (2, pesos(2_000), false),
            "{cut:?}"
        );

        proxy.trap(b"jug", cut.clone());
        let delivery = Adjustment::new(sku("jug"), 3, "delivery").unwrap();
        let adjusted = shop.adjust_stock(delivery).await.unwrap();
        assert_eq!(
            (adjusted.stock, proxy.armed()),
            (stock(8), false),
            "{cut:?}"
        );

        proxy.trap(b"jug", cut.clone());
        let counted = shop
            .count_stock(&sku("jug"), adjusted.version, stock(7), "day")
            .await
            .unwrap();
        assert_eq!(
            (counted.stock, counted.version.get(), proxy.armed()),
            (stock(7), 4, false),
            "{cut:?}"
        );

        proxy.trap(b"jug", cut.clone());
        shop.retire_product(&sku("jug"), counted.version)
            .await
            .unwrap();
        let retired = proxied.direct.product(&sku("jug")).await;
        assert!(!proxy.armed() && retired.unwrap_err().is_not_found());
        assert_balanced(&proxied.db.pool).await;
    }
}

/// If an adjustment is refused after an unknown outcome, its first attempt may still arrive.
#[tokio::test(flavor = "multi_thread")]
async fn an_adjustment_refused_after_an_unknown_outcome_stays_unknown() {
    let proxied = ProxiedShop::new(Strategy::Guarded).await;
    let late = Late::new();
    let theft = Adjustment::new(sku("pot"), -1, "theft").unwrap();
    proxied.proxy.trap(theft.id().as_bytes(), late.cut());
    proxied.direct.checkout(cart(&[("pot", 1)])).await.unwrap();
    let unknown = proxied.shop.adjust_stock(theft.clone()).await.unwrap_err();
    assert_eq!(unknown.kind(), ErrorKind::Unknown, "{unknown:?}");
    let source = unknown.source().unwrap().to_string();
    assert!(source.starts_with("insufficient stock: "), "{source}");
    late.deliver().await;
    let delivery = Adjustment::new(sku("pot"), 1, "delivery").unwrap();
    proxied.direct.adjust_stock(delivery).await.unwrap();
    assert_eq!(
        proxied.direct.adjust_stock(theft).await.unwrap().stock,
        stock(0)
    );
    assert_balanced(&proxied.db.pool).await;
}
