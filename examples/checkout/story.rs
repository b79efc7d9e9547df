//! One conflict, step by step. Every answer is the inventory's own.

use std::fmt::Write;

use optilock::inventory::{
    Checkout, Error, Inventory, Line, Money, NewProduct, Order, Product, Quantity, Sku, Stock,
};

use crate::fault::Fault;

pub(crate) async fn tell(shop: &dyn Inventory) -> Result<String, Fault> {
    let pot = Sku::new("clay-pot")?;
    let price = Money::new(45_000, "MXN".parse()?)?;
    let new = NewProduct::new(pot.clone(), "Clay pot", price).with_stock(Stock::new(5)?);
    shop.add_product(new).await?;
    for _ in 0..4 {
        shop.checkout(one(&pot)?).await?;
    }

    let mut text = String::new();
    let seen_by_a = shop.product(&pot).await?;
    writeln!(text, "  A reads {pot}: {}", state(&seen_by_a))?;
    let seen_by_b = shop.product(&pot).await?;
    writeln!(text, "  B reads {pot}: {}", state(&seen_by_b))?;

    let answer = shop.checkout(one_at(&seen_by_a)?).await;
    let now = shop.product(&pot).await?;
    writeln!(
        text,
        "  A buys at version {}: {}; now {}",
        seen_by_a.version,
        said(answer),
        state(&now)
    )?;

    let answer = shop.checkout(one_at(&seen_by_b)?).await;
    writeln!(
        text,
        "  B buys at version {}: {}",
        seen_by_b.version,
        said(answer)
    )?;

    let now = shop.product(&pot).await?;
    let answer = shop.checkout(one_at(&now)?).await;
    write!(
        text,
        "  B reads again, {}, and retries: {}",
        state(&now),
        said(answer)
    )?;
    Ok(text)
}

fn one(sku: &Sku) -> Result<Checkout, Error> {
    Checkout::new([Line::new(sku.clone(), Quantity::ONE)])
}

/// Only if nothing happened to the product since it was read.
fn one_at(seen: &Product) -> Result<Checkout, Error> {
    Checkout::new([Line::new(seen.sku.clone(), Quantity::ONE).expecting_version(seen.version)])
}

fn state(product: &Product) -> String {
    format!("version {}, {} in stock", product.version, product.stock)
}

fn said(answer: Result<Order, Error>) -> String {
    match answer {
        Ok(_) => "sold".to_owned(),
        Err(error) => format!("refused, \"{error}\""),
    }
}
