//! Orders from their rows.

use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    Versioned,
    inventory::{
        model::{Error, Order, OrderId, OrderLine, OrderStatus, Quantity},
        postgres::{
            row::{impossible, money},
            types::Time,
        },
    },
};

/// Returns orders from their rows, one per line, with the rows of one order together.
pub(crate) fn orders(rows: &[PgRow]) -> Result<Vec<Order>, Error> {
    let mut orders = Vec::new();
    let mut rest = rows;
    while let Some(first) = rest.first() {
        let id: Uuid = first.try_get("id")?;
        let mut count = 1;
        while let Some(next) = rest.get(count)
            && next.try_get::<Uuid, _>("id")? == id
        {
            count += 1;
        }
        let (own, others) = rest.split_at(count);
        orders.push(of_rows(id.into(), first, own)?);
        rest = others;
    }
    Ok(orders)
}

/// Returns the order of some rows; `None` without rows.
///
/// # Errors
///
/// [`ErrorKind::Archived`](crate::inventory::ErrorKind::Archived).
pub(crate) fn order(rows: &[PgRow]) -> Result<Option<Order>, Error> {
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let id = first.try_get::<Uuid, _>("id")?.into();
    if first.try_get("archived")? {
        return Err(Error::archived(Order::ENTITY, id));
    }
    of_rows(id, first, rows).map(Some)
}

fn of_rows(id: OrderId, first: &PgRow, rows: &[PgRow]) -> Result<Order, Error> {
    let mut lines = Vec::with_capacity(rows.len());
    for row in rows {
        // A void order has no lines.
        let Some(sku) = row.try_get("sku")? else {
            continue;
        };
        let quantity = Quantity::stored(row.try_get("quantity")?);
        let mut line = OrderLine::new(sku, quantity, money(row, "price")?);
        line.returned = row.try_get("returned")?;
        lines.push(line);
    }
    let Time(created_at) = first.try_get("created_at")?;
    // Created without its lines, whose sum may exceed the largest amount; the total is stored.
    let mut order = Order::new(id, Vec::new(), created_at)
        .ok_or_else(|| impossible("an order's total does not add up"))?;
    order.lines = lines;
    order.customer = first.try_get("customer")?;
    order.status = status(first.try_get("status")?)?;
    order.total = money(first, "total")?;
    order.version = first.try_get("version")?;
    order.reason = first.try_get("reason")?;
    Ok(order)
}

fn status(code: i16) -> Result<OrderStatus, Error> {
    OrderStatus::of_code(code).ok_or_else(|| impossible(format!("{code} is no order status")))
}
