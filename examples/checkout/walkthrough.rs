//! One conflict, step by step. Every line shows what the inventory returned.

use std::fmt::Write;

use optilock::inventory::{
    Checkout, Error, Inventory, Line, Money, NewProduct, Order, Product, Quantity, Sku, Stock,
};

use crate::error::BoxError;

pub(crate) async fn run(shop: &dyn Inventory) -> Result<String, BoxError> {
    let pot = Sku::new("clay-pot")?;
    let price = Money::new(45_000, "MXN".parse()?)?;
    let new = NewProduct::new(pot.clone(), "Clay pot", price).with_stock(Stock::new(5)?);
    shop.add_product(new).await?;
    for _ in 0..4 {
        shop.checkout(one(&pot)?).await?;
    }

    let mut text = String::new();
    let read_by_a = shop.product(&pot).await?;
    writeln!(text, "  A reads {pot}: {}", state(&read_by_a))?;
    let read_by_b = shop.product(&pot).await?;
    writeln!(text, "  B reads {pot}: {}", state(&read_by_b))?;

    let result = shop.checkout(one_at(&read_by_a)?).await;
    let current = shop.product(&pot).await?;
    writeln!(
        text,
        "  A buys at version {}: {}; now {}",
        read_by_a.version,
        describe(result),
        state(&current)
    )?;

    let result = shop.checkout(one_at(&read_by_b)?).await;
    writeln!(
        text,
        "  B buys at version {}: {}",
        read_by_b.version,
        describe(result)
    )?;

    let current = shop.product(&pot).await?;
    let result = shop.checkout(one_at(&current)?).await;
    write!(
        text,
        "  B reads again, {}, and retries: {}",
        state(&current),
        describe(result)
    )?;
    Ok(text)
}

fn one(sku: &Sku) -> Result<Checkout, Error> {
    Checkout::new([Line::new(sku.clone(), Quantity::ONE)])
}

/// A checkout that is accepted only if the product still has the version that was read.
fn one_at(product: &Product) -> Result<Checkout, Error> {
    let line = Line::new(product.sku.clone(), Quantity::ONE);
    Checkout::new([line.expecting_version(product.version)])
}

fn state(product: &Product) -> String {
    format!("version {}, {} in stock", product.version, product.stock)
}

fn describe(result: Result<Order, Error>) -> String {
    match result {
        Ok(_) => "sold".to_owned(),
        Err(error) => format!("refused, \"{error}\""),
    }
}
