//! Orders. Each function is one attempt on one connection, and commits nothing.

pub(crate) mod change;
pub(crate) mod doubt;
#[cfg(test)]
mod explored;
pub(crate) mod returns;
mod row;
pub(crate) mod step;

use std::time::Duration;

use sqlx::Row;
use uuid::Uuid;

use super::sql;
use crate::{
    Versioned,
    inventory::{
        model::{Checkout, Error, Order, OrderFilter, OrderId, OrderStatus, Page},
        postgres::schema::SchemaConnection,
    },
};

pub(crate) async fn stored(
    conn: &mut SchemaConnection<'_>,
    id: OrderId,
) -> Result<Option<Order>, Error> {
    let rows = sqlx::query(conn.sql(sql::orders::ORDER))
        .bind(id.uuid())
        .fetch_all(&mut **conn)
        .await;
    row::order(&rows.map_err(Error::before)?)
}

pub(crate) async fn find(conn: &mut SchemaConnection<'_>, id: OrderId) -> Result<Order, Error> {
    let found = stored(conn, id).await?;
    found.ok_or_else(|| Error::not_found(Order::ENTITY, id))
}

/// Returns those of these orders that exist.
pub(crate) async fn of(conn: &mut SchemaConnection<'_>, ids: &[Uuid]) -> Result<Vec<Order>, Error> {
    let rows = sqlx::query(conn.sql(sql::orders::ORDERS_OF))
        .bind(ids)
        .fetch_all(&mut **conn)
        .await;
    row::orders(&rows.map_err(Error::before)?)
}

/// Returns the order that an earlier call of this checkout created, by its id or its key.
pub(crate) async fn known(
    conn: &mut SchemaConnection<'_>,
    request: &Checkout,
) -> Result<Option<Order>, Error> {
    let rows = sqlx::query(conn.sql(sql::orders::KNOWN))
        .bind(request.id.uuid())
        .bind(request.customer.as_deref())
        .bind(request.key.as_deref())
        .fetch_all(&mut **conn)
        .await;
    row::order(&rows.map_err(Error::before)?)
}

pub(crate) async fn page(
    conn: &mut SchemaConnection<'_>,
    filter: &OrderFilter,
    page: &Page<OrderId>,
) -> Result<Vec<Order>, Error> {
    // No text of PostgreSQL contains a NUL, and the server refuses a parameter that does.
    if matches!(&filter.customer, Some(customer) if customer.contains('\0')) {
        return Ok(Vec::new());
    }
    let statuses: Vec<i16> = match &*filter.statuses {
        // Void orders are excluded, unless the filter names them.
        [] => (0..OrderStatus::Void.code()).collect(),
        statuses => statuses.iter().copied().map(OrderStatus::code).collect(),
    };
    let statement = match (&filter.customer, filter.newest_first) {
        (None, false) => sql::orders::ORDERS,
        (None, true) => sql::orders::NEWEST_ORDERS,
        (Some(_), false) => sql::orders::ORDERS_OF_CUSTOMER,
        (Some(_), true) => sql::orders::NEWEST_ORDERS_OF_CUSTOMER,
    };
    let rows = sqlx::query(conn.sql(statement))
        .bind(page.after.map(OrderId::uuid))
        .bind(filter.customer.as_deref())
        .bind(statuses)
        .bind(i64::from(page.limit()))
        .fetch_all(&mut **conn)
        .await;
    row::orders(&rows.map_err(Error::before)?)
}

/// Uses the id up, unless the order exists.
pub(crate) async fn void(conn: &mut SchemaConnection<'_>, id: OrderId) -> Result<bool, Error> {
    let voided = sqlx::query(conn.sql(sql::orders::VOID))
        .bind(id.uuid())
        .fetch_one(&mut **conn)
        .await
        .map_err(|error| Error::of_several(error, Order::ENTITY, id))?;
    Ok(voided.try_get::<i64, _>("voided")? == 1)
}

/// Returns the age in microseconds, at most a thousand years: the database must be able to represent the
/// difference.
pub(crate) fn micros(age: Duration) -> i64 {
    const LONGEST: Duration = Duration::from_secs(1_000 * 365 * 24 * 3_600);
    i64::try_from(age.min(LONGEST).as_micros()).unwrap_or(i64::MAX)
}
