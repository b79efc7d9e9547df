//! Steps of orders: each function is one attempt on one connection, and commits nothing of its own.

use std::{collections::HashSet, time::Duration};

use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use super::{doubt::Doubt, orders, reservations, row, sql};
use crate::{
    Class, Version, Versioned,
    inventory::{
        Error, Order, OrderId, OrderStep, Quantity, Shortage, Sku,
        order_step::{Judged, Kind, moved},
    },
};

/// How often one attempt reads the order and tries to write it, as long as others change it in between.
pub(super) const ROUNDS: u32 = 2;

/// A step of an order. If an earlier attempt is in doubt, it is only ever repeated at the version of that
/// attempt: of two statements with one version at most one takes effect.
pub(super) async fn step(
    conn: &mut PgConnection,
    step: &OrderStep,
    doubt: &Doubt,
) -> Result<Order, Error> {
    step.check()?;
    let mut order = orders::find(conn, step.id).await?;
    let mut read = order.version;
    for _ in 0..ROUNDS {
        doubt.look(&order, order.status == step.to());
        if step.judge(&order)? == Judged::Made {
            order.replayed = true;
            return Ok(order);
        }
        if let Some(earlier) = doubt.earlier()
            && earlier != order.version
        {
            return Err(moved(&order, earlier));
        }
        let made = step.made(&order)?;
        read = order.version;
        doubt.send(read);
        if write(conn, step, read).await? {
            return Ok(made);
        }
        order = orders::find(conn, step.id).await?;
        if order.version == read {
            return Err(Error::suppressed(Order::ENTITY, step.id));
        }
    }
    Err(moved(&order, read))
}

/// Whether the order was at this version, in a state in which the step begins, and the step was made.
async fn write(conn: &mut PgConnection, step: &OrderStep, version: Version) -> Result<bool, Error> {
    match &step.kind {
        Kind::MarkPaid => mark(conn, sql::orders::PAY, step.id, version).await,
        Kind::MarkPaymentFailed => mark(conn, sql::orders::FAIL, step.id, version).await,
        Kind::Cancel { reason } => cancel(conn, step.id, version, reason).await,
        Kind::Revive => revive(conn, step.id, version).await,
    }
}

async fn mark(
    conn: &mut PgConnection,
    mark: &'static str,
    id: OrderId,
    version: Version,
) -> Result<bool, Error> {
    let marked = sqlx::query(mark)
        .bind(id.uuid())
        .bind(version)
        .fetch_one(conn)
        .await
        .map_err(|error| Error::of_several(error, Order::ENTITY, id))?;
    Ok(marked.try_get::<i64, _>("orders")? == 1)
}

async fn cancel(
    conn: &mut PgConnection,
    id: OrderId,
    version: Version,
    reason: &str,
) -> Result<bool, Error> {
    let cancelled = sqlx::query(sql::orders::CANCEL)
        .bind([id.uuid()])
        .bind([Some(version)])
        .bind([reason])
        .fetch_one(conn)
        .await
        .map_err(|error| Error::of_several(error, Order::ENTITY, id))?;
    Ok(!cancelled.try_get::<Vec<Uuid>, _>("cancelled")?.is_empty())
}

/// Cancels those of these orders that are unpaid and at these versions, each for its reason; no order twice.
pub(super) async fn cancel_many(
    conn: &mut PgConnection,
    ids: &[Uuid],
    versions: &[Option<Version>],
    reasons: &[&str],
) -> Result<HashSet<Uuid>, Error> {
    let cancelled = sqlx::query(sql::orders::CANCEL_MANY)
        .bind(ids)
        .bind(versions)
        .bind(reasons)
        .fetch_one(conn)
        .await
        .map_err(|error| Error::of_several(error, Order::ENTITY, "of a batch"))?;
    let cancelled: Vec<Uuid> = cancelled.try_get("cancelled")?;
    Ok(cancelled.into_iter().collect())
}

async fn revive(conn: &mut PgConnection, id: OrderId, version: Version) -> Result<bool, Error> {
    for _ in 0..PIECES {
        let rows = sqlx::query(sql::orders::REVIVE)
            .bind(id.uuid())
            .bind(version)
            .fetch_all(&mut *conn)
            .await
            .map_err(|error| Error::of_several(error, Order::ENTITY, id))?;
        if rows.is_empty() || row::wrote(&rows)? {
            return Ok(!rows.is_empty());
        }
        for row in &rows {
            // Products are never deleted: a policy keeps it from being written.
            if !row.try_get::<bool, _>("locked")? {
                return Err(Error::suppressed(Order::ENTITY, id));
            }
            if row.try_get("paused")? {
                let sku = row.try_get("sku")?;
                return Err(Error::ProductPaused { sku });
            }
        }
        let short = shortages(&rows)?;
        if short.is_empty() {
            return Err(Error::suppressed(Order::ENTITY, id));
        }
        // Units in expired holds are available. If the connection is lost meanwhile, the order is what it was.
        let skus: Vec<&Sku> = short.iter().map(|line| &line.sku).collect();
        let expired = reservations::lapse(conn, &skus).await;
        let not_made = Class::Busy { retry_after: None };
        if expired.map_err(|error| error.settled(not_made))?.holds == 0 {
            return Err(Error::InsufficientStock(short));
        }
    }
    Err(Error::not_asked(Some(AGAIN)))
}

/// Pieces of expired holds that one attempt ends.
const PIECES: u32 = 64;

/// More holds of the order's products have expired than one attempt ends.
const AGAIN: Duration = Duration::from_millis(1);

/// The lines of which fewer units are available than the order had.
fn shortages(rows: &[PgRow]) -> Result<Vec<Shortage>, Error> {
    let mut short = Vec::new();
    for row in rows {
        let (asked, available): (i64, i64) = (row.try_get("quantity")?, row.try_get("available")?);
        if available < asked {
            let asked = Quantity::new(asked).map_err(row::impossible)?;
            short.push(Shortage::new(row.try_get("sku")?, asked, available));
        }
    }
    Ok(short)
}
