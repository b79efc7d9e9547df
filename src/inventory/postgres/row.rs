//! Conversion of rows to values, with checks.

use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use super::types::Time;
use crate::{
    Version,
    inventory::model::{
        Error, Hold, HoldState, Money, Movement, MovementKind, Order, OrderId, OrderLine,
        OrderStatus, Quantity, Reservation, checkout::Facts, error::Repr,
    },
};

/// Returns the error of a stored value that no statement of the crate could have written.
pub(crate) fn impossible(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Repr::Database(sqlx::Error::Decode(error.into())).into()
}

fn money(row: &PgRow, amount: &str) -> Result<Money, Error> {
    let currency: &str = row.try_get("currency")?;
    let currency = currency.parse().map_err(impossible)?;
    Ok(Money::stored(row.try_get(amount)?, currency))
}

/// Returns the facts of a product; `None` if it does not exist.
pub(crate) fn facts(row: &PgRow) -> Result<Option<Facts>, Error> {
    let Some(version) = row.try_get::<Option<Version>, _>("version")? else {
        return Ok(None);
    };
    Ok(Some(Facts {
        available: row.try_get("available")?,
        expired: 0,
        version,
        price: money(row, "price")?,
        paused: row.try_get("paused")?,
        held: 0,
        raised: 0,
    }))
}

/// Returns the price of a sold line.
pub(crate) fn price(row: &PgRow) -> Result<Money, Error> {
    money(row, "price")
}

/// Returns the total of an order.
pub(crate) fn total(row: &PgRow) -> Result<Money, Error> {
    money(row, "total")
}

/// Returns whether a statement that decides under its locks wrote what it was asked.
pub(crate) fn wrote(rows: &[PgRow]) -> Result<bool, Error> {
    Ok(rows.first().map_or(Ok(false), |row| row.try_get("wrote"))?)
}

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
        orders.push(order(id.into(), first, own)?);
        rest = others;
    }
    Ok(orders)
}

fn order(id: OrderId, first: &PgRow, rows: &[PgRow]) -> Result<Order, Error> {
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
    order.total = total(first)?;
    order.version = first.try_get("version")?;
    order.reason = first.try_get("reason")?;
    Ok(order)
}

/// Returns a reservation from its rows; `None` without rows.
pub(crate) fn reservation(rows: &[PgRow]) -> Result<Option<Reservation>, Error> {
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let mut holds = Vec::with_capacity(rows.len());
    for row in rows {
        let quantity = Quantity::stored(row.try_get("quantity")?);
        let Time(expires_at) = row.try_get("expires_at")?;
        let mut hold = Hold::new(row.try_get("sku")?, quantity, expires_at);
        hold.held = row.try_get("held")?;
        let state: i16 = row.try_get("state")?;
        hold.state = HoldState::of_code(state)
            .ok_or_else(|| impossible(format!("{state} is no state of a hold")))?;
        holds.push(hold);
    }
    let Time(created_at) = first.try_get("created_at")?;
    let id: Uuid = first.try_get("id")?;
    let mut reservation = Reservation::new(id.into(), holds, created_at);
    reservation.customer = first.try_get("customer")?;
    Ok(Some(reservation))
}

pub(crate) fn movement(row: &PgRow) -> Result<Movement, Error> {
    let code: i16 = row.try_get("kind")?;
    let kind = MovementKind::of_code(code);
    let (delta, stock_after) = (row.try_get("delta")?, row.try_get("stock_after")?);
    let (sku, version) = (row.try_get("sku")?, row.try_get("version")?);
    let mut movement = Movement::new(sku, version, kind, delta, stock_after);
    movement.order = row.try_get::<Option<Uuid>, _>("order_id")?.map(Into::into);
    let reservation: Option<Uuid> = row.try_get("reservation_id")?;
    movement.reservation = reservation.map(Into::into);
    movement.reason = row.try_get("reason")?;
    Time(movement.moved_at) = row.try_get("moved_at")?;
    Ok(movement)
}

pub(crate) const fn status_code(status: OrderStatus) -> i16 {
    status.code()
}

fn status(code: i16) -> Result<OrderStatus, Error> {
    OrderStatus::of_code(code).ok_or_else(|| impossible(format!("{code} is no order status")))
}
