//! Products and carts.

use crate::inventory::{
    Checkout, Inventory, Line, Money, NewProduct, Product, Quantity, Sku, Stock,
};

pub(in crate::testing::contract) fn sku(text: &str) -> Sku {
    Sku::new(text).expect("a valid SKU")
}

pub(in crate::testing::contract) fn units(units: i64) -> Quantity {
    Quantity::new(units).expect("a valid quantity")
}

pub(in crate::testing::contract) fn stock(units: i64) -> Stock {
    Stock::new(units).expect("a valid stock")
}

pub(in crate::testing::contract) fn pesos(minor: i64) -> Money {
    Money::new(minor, "MXN".parse().expect("a valid currency")).expect("a valid amount")
}

pub(in crate::testing::contract) fn new_product(name: &str, units: i64) -> NewProduct {
    NewProduct::new(sku(name), format!("The {name}"), pesos(1_000)).with_stock(stock(units))
}

pub(in crate::testing::contract) async fn add(
    shop: &dyn Inventory,
    name: &str,
    units: i64,
) -> Product {
    shop.add_product(new_product(name, units))
        .await
        .expect("a product can be added")
}

/// Returns a cart with the given units of each product.
pub(in crate::testing::contract) fn cart(lines: &[(&str, i64)]) -> Checkout {
    Checkout::new(
        lines
            .iter()
            .map(|(name, quantity)| Line::new(sku(name), units(*quantity))),
    )
    .expect("a valid cart")
}

pub(in crate::testing::contract) async fn stock_of(shop: &dyn Inventory, name: &str) -> i64 {
    shop.product(&sku(name))
        .await
        .expect("the product exists")
        .stock
        .get()
}
