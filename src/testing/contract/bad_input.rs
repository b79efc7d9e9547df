//! Clauses about input that is refused or only looks dangerous.

use crate::{
    Version,
    inventory::{Adjustment, Error, ErrorKind, Inventory, NewProduct, Sku},
};
use uuid::Uuid;

use crate::testing::contract::goods::{add, cart, pesos, sku, stock};

/// Checks every clause of this file.
pub(super) async fn fulfil(shop: &dyn Inventory) {
    an_invalid_text_is_refused(shop).await;
    a_total_beyond_the_largest_amount_is_refused(shop).await;
    unusual_text_is_accepted(shop).await;
}

/// Asserts that the part of a request is refused, for this text.
#[track_caller]
fn assert_invalid(refused: &Error, part: &str, text: &str) {
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{text:?}: {refused:?}");
    let (what, _) = refused.invalid_part().unwrap();
    assert_eq!(what, part, "{text:?}: {refused:?}");
}

async fn an_invalid_text_is_refused(shop: &dyn Inventory) {
    add(shop, "input", 1).await;
    for name in ["", "  ", "a\0b", "line\nbreak", &"x".repeat(501)] {
        let new = NewProduct::new(sku("input-new"), name, pesos(1));
        let refused = shop.add_product(new).await.unwrap_err();
        assert_invalid(&refused, "name", name);
        let mut product = shop.product(&sku("input")).await.unwrap();
        product.name = name.into();
        let refused = shop.update_product(&product).await.unwrap_err();
        assert_invalid(&refused, "name", name);
        let refused = shop
            .count_stock(&sku("input"), Version::FIRST, stock(1), name)
            .await
            .unwrap_err();
        assert_invalid(&refused, "reason", name);
        let refused = shop
            .checkout(cart(&[("input", 1)]).with_customer(name))
            .await
            .unwrap_err();
        assert_invalid(&refused, "customer", name);
        assert_eq!(refused.http_status(), 400);
    }
    let product = shop.product(&sku("input")).await.unwrap();
    assert_eq!(
        (product.stock.get(), product.version.get()),
        (1, 1),
        "nothing changed"
    );
}

async fn a_total_beyond_the_largest_amount_is_refused(shop: &dyn Inventory) {
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
}

async fn unusual_text_is_accepted(shop: &dyn Inventory) {
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
