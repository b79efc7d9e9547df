//! Changes of a product with held units.

use crate::inventory::{Adjustment, Inventory};

use super::helpers::{assert_short, counts, reserve};
use crate::testing::contract::goods::{add, cart, new_product, stock, stock_of};

/// Asserts all rules of this file.
pub(super) async fn fulfil(shop: &dyn Inventory) {
    no_change_of_a_product_takes_held_units(shop).await;
}

async fn no_change_of_a_product_takes_held_units(shop: &dyn Inventory) {
    let product = add(shop, "protect", 5).await;
    let made = reserve(shop, &[("protect", 3)]).await;
    let version = shop.product(&product.sku).await.unwrap().version;
    let held = shop
        .count_stock(&product.sku, version, stock(2), "day")
        .await;
    assert_eq!(held.unwrap_err().code(), "stock-held");
    let broken = Adjustment::new(product.sku.clone(), -3, "broken").unwrap();
    assert_short(shop.adjust_stock(broken).await, &[("protect", 2)]);
    // The product is retired and added again.
    shop.retire_product(&product.sku, version).await.unwrap();
    let buy = cart(&[("protect", 1)]).with_reservation(made.id);
    assert!(shop.checkout(buy.clone()).await.unwrap_err().is_not_found());
    let again = new_product("protect", 2);
    assert_eq!(
        shop.add_product(again).await.unwrap_err().code(),
        "stock-held"
    );
    shop.add_product(new_product("protect", 3)).await.unwrap();
    shop.checkout(buy).await.unwrap();
    assert_eq!(counts(shop, "protect").await, (2, 2));
    let version = shop.product(&product.sku).await.unwrap().version;
    shop.retire_product(&product.sku, version).await.unwrap();
    shop.release(made.id).await.unwrap();
    shop.add_product(new_product("protect", 1)).await.unwrap();
    assert_eq!(stock_of(shop, "protect").await, 1);
    assert_eq!(counts(shop, "protect").await, (1, 0));
}
