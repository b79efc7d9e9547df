//! Orders: each function is one attempt on one connection, and commits nothing of its own.

use std::time::Duration;

use sqlx::{PgConnection, Row};

use super::{row, sql};
use crate::{
    Versioned,
    inventory::{Cleanup, Error, Order, OrderId},
};

pub(super) async fn stored(conn: &mut PgConnection, id: OrderId) -> Result<Option<Order>, Error> {
    let rows = sqlx::query(sql::ORDER)
        .bind(id.uuid())
        .fetch_all(conn)
        .await
        .map_err(Error::before)?;
    row::order(id, &rows)
}

pub(super) async fn find(conn: &mut PgConnection, id: OrderId) -> Result<Order, Error> {
    stored(conn, id).await?.ok_or_else(|| Error::NotFound {
        entity: Order::ENTITY,
        id: id.to_string(),
    })
}

/// Uses the id up, unless there is an order.
pub(super) async fn void(conn: &mut PgConnection, id: OrderId) -> Result<bool, Error> {
    let voided = sqlx::query(sql::VOID).bind(id.uuid()).execute(conn).await?;
    Ok(voided.rows_affected() == 1)
}

/// The most orders that one statement cancels: enough to be quick, few enough that a checkout
/// waits for milliseconds.
pub(super) const SWEEP_BATCH: u64 = 500;

/// Cancels a batch of orders unpaid for so long.
pub(super) async fn sweep(conn: &mut PgConnection, older_than: Duration) -> Result<Cleanup, Error> {
    let age = i64::try_from(older_than.as_micros()).unwrap_or(i64::MAX);
    let batch = i64::try_from(SWEEP_BATCH).unwrap_or(i64::MAX);
    let swept = sqlx::query(sql::SWEEP)
        .bind(age)
        .bind(batch)
        .fetch_one(conn)
        .await?;
    let count = |column| swept.try_get(column).map(i64::unsigned_abs);
    Ok(Cleanup::new(count("orders")?, count("units")?))
}
