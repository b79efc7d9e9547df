//! Orders: each function is one attempt on one connection, and commits nothing of its own.

use std::time::Duration;

use sqlx::{Connection, PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::{reservations, row, sql};
use crate::{
    Version, Versioned,
    inventory::{
        Checkout, Error, Movement, Order, OrderFilter, OrderId, OrderStatus, Page, Quantity,
        Return, Shortage, Sku, product::check_text,
    },
};

pub(super) async fn stored(conn: &mut PgConnection, id: OrderId) -> Result<Option<Order>, Error> {
    let rows = sqlx::query(sql::orders::ORDER)
        .bind(id.uuid())
        .fetch_all(conn)
        .await;
    Ok(row::orders(&rows.map_err(Error::before)?)?.pop())
}

pub(super) async fn find(conn: &mut PgConnection, id: OrderId) -> Result<Order, Error> {
    let found = stored(conn, id).await?;
    found.ok_or_else(|| Error::not_found(Order::ENTITY, id))
}

/// The order that an earlier call of this checkout made, by its id or its key.
pub(super) async fn known(
    conn: &mut PgConnection,
    request: &Checkout,
) -> Result<Option<Order>, Error> {
    let rows = sqlx::query(sql::orders::KNOWN)
        .bind(request.id.uuid())
        .bind(request.customer.as_deref())
        .bind(request.key.as_deref())
        .fetch_all(conn)
        .await;
    Ok(row::orders(&rows.map_err(Error::before)?)?.pop())
}

pub(super) async fn page(
    conn: &mut PgConnection,
    filter: &OrderFilter,
    page: &Page<OrderId>,
) -> Result<Vec<Order>, Error> {
    let statuses: Vec<i16> = match &*filter.statuses {
        // Void orders are none, unless somebody asks for them.
        [] => (0..row::status_code(OrderStatus::Void)).collect(),
        statuses => statuses.iter().copied().map(row::status_code).collect(),
    };
    let rows = sqlx::query(sql::orders::ORDERS)
        .bind(page.after.map(OrderId::uuid))
        .bind(filter.customer.as_deref())
        .bind(statuses)
        .bind(i64::from(page.limit()))
        .fetch_all(conn)
        .await;
    row::orders(&rows.map_err(Error::before)?)
}

const UNPAID: &[OrderStatus] = &[OrderStatus::PendingPayment, OrderStatus::PaymentFailed];

pub(super) async fn pay(conn: &mut PgConnection, id: OrderId) -> Result<Order, Error> {
    loop {
        let paid = sqlx::query(sql::orders::PAY)
            .bind(id.uuid())
            .execute(&mut *conn);
        let moved = paid.await?.rows_affected() == 1;
        if let Some(order) = arrived(conn, id, UNPAID, OrderStatus::Paid, moved).await? {
            return Ok(order);
        }
    }
}

pub(super) async fn fail(conn: &mut PgConnection, id: OrderId) -> Result<Order, Error> {
    let from = &[OrderStatus::PendingPayment];
    loop {
        let failed = sqlx::query(sql::orders::FAIL)
            .bind(id.uuid())
            .execute(&mut *conn);
        let moved = failed.await?.rows_affected() == 1;
        if let Some(order) = arrived(conn, id, from, OrderStatus::PaymentFailed, moved).await? {
            return Ok(order);
        }
    }
}

pub(super) async fn cancel(
    conn: &mut PgConnection,
    id: OrderId,
    reason: &str,
) -> Result<Order, Error> {
    check_text("reason", reason)?;
    loop {
        let cancelled = sqlx::query(sql::orders::CANCEL)
            .bind([id.uuid()])
            .bind([None::<Version>])
            .bind([reason])
            .fetch_one(&mut *conn)
            .await
            .map_err(|error| Error::of_several(error, Order::ENTITY, id))?;
        let moved = !cancelled.try_get::<Vec<Uuid>, _>("cancelled")?.is_empty();
        if let Some(order) = arrived(conn, id, UNPAID, OrderStatus::Cancelled, moved).await? {
            return Ok(order);
        }
    }
}

/// Cancels those of these orders that are unpaid, each for its reason; no order twice. What became of the
/// others has to be asked one by one.
pub(super) async fn cancel_many(
    conn: &mut PgConnection,
    ids: &[Uuid],
    reasons: &[&str],
) -> Result<Vec<Order>, Error> {
    let cancelled = sqlx::query(sql::orders::CANCEL_MANY)
        .bind(ids)
        .bind(vec![None::<Version>; ids.len()])
        .bind(reasons)
        .fetch_one(&mut *conn)
        .await
        .map_err(|error| Error::of_several(error, Order::ENTITY, "of a batch"))?;
    let cancelled: Vec<Uuid> = cancelled.try_get("cancelled")?;
    let committed = !cancelled.is_empty() && !conn.is_in_transaction();
    let rows = sqlx::query(sql::orders::ORDERS_OF)
        .bind(cancelled)
        .fetch_all(conn)
        .await;
    row::orders(&rows.map_err(|error| Error::before(error).after(committed))?)
}

pub(super) async fn revive(conn: &mut PgConnection, id: OrderId) -> Result<Order, Error> {
    let (from, to) = (&[OrderStatus::Cancelled], OrderStatus::PendingPayment);
    let mut lapsed = false;
    loop {
        let rows = sqlx::query(sql::orders::REVIVE)
            .bind(id.uuid())
            .fetch_all(&mut *conn)
            .await
            .map_err(|error| Error::of_several(error, Order::ENTITY, id))?;
        let moved = row::wrote(&rows)?;
        if moved || rows.is_empty() {
            match arrived(conn, id, from, to, moved).await? {
                Some(order) => return Ok(order),
                None => continue,
            }
        }
        let short = shortages(&rows, "available")?;
        if short.is_empty() {
            return Err(Error::suppressed(Order::ENTITY, id));
        }
        // What has run out is in nobody's way.
        let skus: Vec<&Sku> = short.iter().map(|line| &line.sku).collect();
        if lapsed || reservations::lapse(conn, &skus).await?.holds == 0 {
            return Err(Error::InsufficientStock(short));
        }
        lapsed = true;
    }
}

pub(super) async fn take_back(conn: &mut PgConnection, request: &Return) -> Result<Order, Error> {
    let id = request.order;
    let (skus, quantities): (Vec<&Sku>, Vec<i64>) = request
        .lines
        .iter()
        .map(|(sku, quantity)| (sku, quantity.get()))
        .unzip();
    let rows = sqlx::query(sql::orders::RETURN)
        .bind(id.uuid())
        .bind(&skus)
        .bind(&quantities)
        .bind(request.id)
        .bind(&request.reason)
        .fetch_all(&mut *conn)
        .await
        .map_err(|error| Error::of_several(error, Order::ENTITY, id))?;
    if row::wrote(&rows)? {
        let committed = !conn.is_in_transaction();
        let found = find(conn, id).await;
        return found.map_err(|error| error.after(committed));
    }
    let made = sqlx::query_scalar(sql::orders::RETURNED)
        .bind(request.id)
        .bind(id.uuid())
        .bind(&skus)
        .bind(&quantities)
        .fetch_optional(&mut *conn)
        .await;
    let mut order = match made.map_err(Error::before)? {
        Some(false) => {
            return Err(Error::another_request("return", request.id, None));
        }
        Some(true) => find(conn, id).await?,
        None => {
            let order = find(conn, id).await?;
            let paid = rows.first().map_or(Ok(false), |row| row.try_get("paid"))?;
            return Err(match shortages(&rows, "remaining")? {
                _ if !paid => closed(&order),
                too_many if too_many.is_empty() => Error::suppressed(Order::ENTITY, id),
                too_many => Error::ReturnExceedsOrder(too_many),
            });
        }
    };
    order.replayed = true;
    Ok(order)
}

/// The order after a step from one of `from` to `to` that moved it, or did not: then it was there
/// already, or stands where no such step begins. `None` when somebody else moved it in between to where
/// the step does begin: it is to be made again.
async fn arrived(
    conn: &mut PgConnection,
    id: OrderId,
    from: &[OrderStatus],
    to: OrderStatus,
    moved: bool,
) -> Result<Option<Order>, Error> {
    let committed = moved && !conn.is_in_transaction();
    let found = find(conn, id).await;
    let mut order = found.map_err(|error| error.after(committed))?;
    if moved || order.status == to {
        order.replayed = !moved;
        return Ok(Some(order));
    }
    if from.contains(&order.status) {
        return Ok(None);
    }
    Err(closed(&order))
}

fn closed(order: &Order) -> Error {
    let (id, status) = (order.id, order.status);
    Error::OrderClosed { id, status }
}

/// The lines that ask for more than is there.
fn shortages(rows: &[PgRow], there: &str) -> Result<Vec<Shortage>, Error> {
    let mut short = Vec::new();
    for row in rows {
        let (asked, there): (i64, i64) = (row.try_get("quantity")?, row.try_get(there)?);
        if there < asked {
            let asked = Quantity::new(asked).map_err(row::impossible)?;
            short.push(Shortage::new(row.try_get("sku")?, asked, there));
        }
    }
    Ok(short)
}

/// Uses the id up, unless there is an order.
pub(super) async fn void(conn: &mut PgConnection, id: OrderId) -> Result<bool, Error> {
    let voided = sqlx::query(sql::orders::VOID)
        .bind(id.uuid())
        .execute(conn)
        .await?;
    Ok(voided.rows_affected() == 1)
}

/// At most a thousand years: what is subtracted must leave a time that the database can say.
pub(super) fn micros(age: Duration) -> i64 {
    const LONGEST: Duration = Duration::from_secs(1_000 * 365 * 24 * 3_600);
    i64::try_from(age.min(LONGEST).as_micros()).unwrap_or(i64::MAX)
}

pub(super) async fn movements(
    conn: &mut PgConnection,
    sku: &Sku,
    page: &Page<Version>,
) -> Result<Vec<Movement>, Error> {
    let found = sqlx::query(sql::ledger::MOVEMENTS)
        .bind(sku)
        .bind(page.after.map_or(0, Version::get))
        .bind(i64::from(page.limit()))
        .fetch_all(conn)
        .await;
    found
        .map_err(Error::before)?
        .iter()
        .map(row::movement)
        .collect()
}
