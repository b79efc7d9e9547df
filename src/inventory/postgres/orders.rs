//! Orders: each function is one attempt on one connection, and commits nothing of its own.

use std::time::Duration;

use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{row, sql};
use crate::{
    Version, Versioned,
    inventory::{
        Checkout, Cleanup, Error, Movement, Order, OrderFilter, OrderId, OrderStatus, Page, Sku,
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

/// Those of these orders that there are.
pub(super) async fn of(conn: &mut PgConnection, ids: &[Uuid]) -> Result<Vec<Order>, Error> {
    let rows = sqlx::query(sql::orders::ORDERS_OF)
        .bind(ids)
        .fetch_all(conn)
        .await;
    row::orders(&rows.map_err(Error::before)?)
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

/// Uses the id up, unless there is an order.
pub(super) async fn void(conn: &mut PgConnection, id: OrderId) -> Result<bool, Error> {
    let voided = sqlx::query(sql::orders::VOID)
        .bind(id.uuid())
        .fetch_one(conn)
        .await
        .map_err(|error| Error::of_several(error, Order::ENTITY, id))?;
    Ok(voided.try_get::<i64, _>("voided")? == 1)
}

/// Cancels a batch of orders unpaid for so long.
pub(super) async fn sweep(
    conn: &mut PgConnection,
    older_than: Duration,
    batch: u64,
) -> Result<Cleanup, Error> {
    let due: Vec<Uuid> = sqlx::query_scalar(sql::cleanup::UNPAID)
        .bind(micros(older_than))
        .bind(batch.cast_signed())
        .fetch_all(&mut *conn)
        .await
        .map_err(Error::before)?;
    let swept = sqlx::query(sql::cleanup::SWEEP)
        .bind(&due)
        .bind(vec![None::<i64>; due.len()])
        .bind(vec!["expired"; due.len()])
        .bind(micros(older_than))
        .fetch_one(conn)
        .await
        .map_err(|error| Error::of_several(error, Order::ENTITY, "of a clean-up"))?;
    let orders = swept.try_get::<Vec<Uuid>, _>("cancelled")?.len() as u64;
    let units = swept.try_get::<i64, _>("units")?.unsigned_abs();
    Ok(Cleanup::of_orders(orders, units))
}

/// Forgets a batch of keys that are so old.
pub(super) async fn forget_keys(
    conn: &mut PgConnection,
    older_than: Duration,
    batch: u64,
) -> Result<u64, Error> {
    let forgotten = sqlx::query(sql::cleanup::FORGET_KEYS)
        .bind(micros(older_than))
        .bind(batch.cast_signed())
        .execute(conn)
        .await?;
    Ok(forgotten.rows_affected())
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
