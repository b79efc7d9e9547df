//! Rows as values, checked on the way in.

use sqlx::{Row, postgres::PgRow};

use super::time::Time;
use crate::{
    Version,
    inventory::{Error, Money, Order, OrderId, OrderLine, OrderStatus, Quantity, checkout::Facts},
};

/// A stored value that none of our statements could have written.
pub(super) fn impossible(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::Database(sqlx::Error::Decode(error.into()))
}

fn money(row: &PgRow, amount: &str) -> Result<Money, Error> {
    let currency: &str = row.try_get("currency")?;
    Money::new(row.try_get(amount)?, currency.parse().map_err(impossible)?).map_err(impossible)
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
        let Some(sku) = row.try_get("sku")? else {
            continue;
        };
        let quantity = Quantity::new(row.try_get("quantity")?).map_err(impossible)?;
        lines.push(OrderLine::new(sku, quantity, money(row, "price")?));
    }
    let Time(created_at) = first.try_get("created_at")?;
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
