//! Rows as values, checked on the way in.

use chrono::{DateTime, Utc};
use sqlx::{Row, postgres::PgRow};

use crate::{
    Version,
    inventory::{
        Error, Money, Order, OrderId, OrderLine, OrderStatus, Product, Quantity, Sku, Stock,
        checkout::Facts,
    },
};

/// A stored value that none of our statements could have written.
fn impossible(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Database(sqlx::Error::Decode(error.into()))
}

fn money(row: &PgRow, amount: &str) -> Result<Money, Error> {
    let currency: &str = row.try_get("currency")?;
    Money::new(row.try_get(amount)?, currency.parse().map_err(impossible)?).map_err(impossible)
}

fn stock(row: &PgRow, column: &str) -> Result<Stock, Error> {
    Stock::new(row.try_get(column)?).map_err(impossible)
}

pub(super) fn time(row: &PgRow, column: &str) -> Result<DateTime<Utc>, Error> {
    let micros: i64 = row.try_get(column)?;
    DateTime::from_timestamp_micros(micros)
        .ok_or_else(|| impossible(format!("{micros} is no time")))
}

pub(super) fn product(row: &PgRow) -> Result<Product, Error> {
    let sku: &str = row.try_get("sku")?;
    let name: &str = row.try_get("name")?;
    let mut product = Product::new(
        Sku::new(sku).map_err(impossible)?,
        name,
        money(row, "price")?,
    );
    product.stock = stock(row, "stock")?;
    product.reserved = stock(row, "reserved")?;
    product.version = row.try_get("version")?;
    product.revision = row.try_get("revision")?;
    product.created_at = time(row, "created_us")?;
    product.updated_at = time(row, "updated_us")?;
    Ok(product)
}

/// `None` for a product that is not there.
pub(super) fn facts(row: &PgRow) -> Result<Option<Facts>, Error> {
    let Some(version) = row.try_get::<Option<Version>, _>("version")? else {
        return Ok(None);
    };
    Ok(Some(Facts {
        available: row.try_get("available")?,
        version,
        price: money(row, "price")?,
    }))
}

/// The price a line was sold at, and when.
pub(super) fn price(row: &PgRow) -> Result<Money, Error> {
    money(row, "price")
}

/// `None` without rows.
pub(super) fn order(id: OrderId, rows: &[PgRow]) -> Result<Option<Order>, Error> {
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let mut lines = Vec::with_capacity(rows.len());
    for row in rows {
        // A void order has no lines.
        let Some(sku) = row.try_get::<Option<&str>, _>("sku")? else {
            continue;
        };
        let quantity = Quantity::new(row.try_get("quantity")?).map_err(impossible)?;
        lines.push(OrderLine::new(
            Sku::new(sku).map_err(impossible)?,
            quantity,
            money(row, "price")?,
        ));
    }
    let created_at = time(first, "created_us")?;
    let mut order = Order::new(id, lines, created_at)
        .ok_or_else(|| impossible("an order's total does not add up"))?;
    order.customer = first.try_get("customer")?;
    order.status = status(first.try_get("status")?)?;
    order.total = money(first, "total")?;
    order.version = first.try_get("version")?;
    Ok(Some(order))
}

fn status(code: i16) -> Result<OrderStatus, Error> {
    Ok(match code {
        0 => OrderStatus::PendingPayment,
        1 => OrderStatus::PaymentFailed,
        2 => OrderStatus::Paid,
        3 => OrderStatus::Cancelled,
        4 => OrderStatus::Void,
        other => return Err(impossible(format!("{other} is no order status"))),
    })
}
