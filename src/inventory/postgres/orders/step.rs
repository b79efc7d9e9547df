//! Steps of orders. Each function is one attempt on one connection, and commits nothing.

use sqlx::{Row, postgres::PgRow};
use tokio::time::Instant;
use uuid::Uuid;

use super::{doubt::Doubt, find};
use crate::{
    Class, RetryPolicy, Version, Versioned,
    inventory::{
        model::{
            Error, ErrorKind, Order, OrderId, OrderStep, Quantity, Shortage, Sku,
            order_step::{Judged, Kind, moved},
        },
        postgres::{
            reservations::expiry::{Expiry, Needed},
            row::{impossible, wrote},
            schema::SchemaConnection,
            sql,
        },
    },
};

/// How often one attempt reads the order and tries to write it while other transactions change it.
pub(crate) const ROUNDS: u32 = 2;

/// Makes a step of an order. If an earlier attempt is in doubt, the step is only repeated at the version of
/// that attempt: of two statements with one version at most one takes effect.
pub(crate) async fn step(
    conn: &mut SchemaConnection<'_>,
    step: &OrderStep,
    policy: &RetryPolicy,
    doubt: &Doubt,
) -> Result<Order, Error> {
    step.check()?;
    let mut order = find(conn, step.id).await?;
    let mut read = order.version;
    for _ in 0..ROUNDS {
        if decide(step, &order, doubt)? == Judged::Made {
            order.replayed = true;
            return Ok(order);
        }
        let made = step.made(&order)?;
        read = order.version;
        doubt.send(read);
        let refusal = match write(conn, step, policy, read).await {
            Ok(true) => return Ok(made),
            Ok(false) => Error::suppressed(Order::ENTITY, step.id),
            Err(error) => match error.kind() {
                ErrorKind::InsufficientStock | ErrorKind::ProductPaused => error,
                _ => return Err(error),
            },
        };
        // Read in a later snapshot: another call of this step may have taken the units.
        order = find(conn, step.id).await?;
        if order.version == read {
            return Err(refusal);
        }
    }
    Err(moved(&order, read))
}

/// Judges a step on the order as it was read. A step that an earlier attempt may have made begins at the version of
/// that attempt only.
pub(super) fn decide(step: &OrderStep, order: &Order, doubt: &Doubt) -> Result<Judged, Error> {
    doubt.look(order, order.status == step.to());
    let judged = step.judge(order)?;
    match doubt.earlier() {
        Some(earlier) if judged == Judged::Begins && earlier != order.version => {
            Err(moved(order, earlier))
        }
        _ => Ok(judged),
    }
}

/// Returns whether the order was at this version, in a state in which the step begins, and the step was made.
async fn write(
    conn: &mut SchemaConnection<'_>,
    step: &OrderStep,
    policy: &RetryPolicy,
    version: Version,
) -> Result<bool, Error> {
    match &step.kind {
        Kind::MarkPaid => mark(conn, sql::orders::PAY, step.id, version).await,
        Kind::MarkPaymentFailed => mark(conn, sql::orders::FAIL, step.id, version).await,
        Kind::Cancel { reason } => cancel(conn, step.id, version, reason).await,
        Kind::Revive => revive(conn, policy, step.id, version).await,
    }
}

async fn mark(
    conn: &mut SchemaConnection<'_>,
    mark: &'static str,
    id: OrderId,
    version: Version,
) -> Result<bool, Error> {
    let marked = sqlx::query(conn.sql(mark))
        .bind(id.uuid())
        .bind(version)
        .fetch_one(&mut **conn)
        .await
        .map_err(|error| Error::of_several(error, Order::ENTITY, id))?;
    Ok(marked.try_get::<i64, _>("orders")? == 1)
}

async fn cancel(
    conn: &mut SchemaConnection<'_>,
    id: OrderId,
    version: Version,
    reason: &str,
) -> Result<bool, Error> {
    let cancelled = sqlx::query(conn.sql(sql::orders::CANCEL))
        .bind(id.uuid())
        .bind(version)
        .bind(reason)
        .fetch_one(&mut **conn)
        .await
        .map_err(|error| Error::of_several(error, Order::ENTITY, id))?;
    Ok(!cancelled.try_get::<Vec<Uuid>, _>("cancelled")?.is_empty())
}

async fn revive(
    conn: &mut SchemaConnection<'_>,
    policy: &RetryPolicy,
    id: OrderId,
    version: Version,
) -> Result<bool, Error> {
    let (since, mut expiry) = (Instant::now(), Expiry::new());
    loop {
        let rows = sqlx::query(conn.sql(sql::orders::REVIVE))
            .bind(id.uuid())
            .bind(version)
            .fetch_all(&mut **conn)
            .await
            .map_err(|error| Error::of_several(error, Order::ENTITY, id))?;
        if rows.is_empty() || wrote(&rows)? {
            return Ok(!rows.is_empty());
        }
        let lines = judge(&rows, id)?;
        expiry.check_kept()?;
        expiry.check_deadline(policy, since)?;
        let needed: Vec<Needed<'_>> = lines
            .iter()
            .map(|(sku, units)| Needed {
                sku,
                units: *units,
                version: None,
            })
            .collect();
        // If the connection is lost meanwhile, the order is unchanged.
        let ended = expiry.end(conn, &needed, None).await;
        ended.map_err(|error| error.settled(Class::Busy { retry_after: None }))?;
    }
}

/// If expired holds cover every shortage, returns the ordered units of each line. Otherwise returns the error that
/// prevents the revival.
fn judge(rows: &[PgRow], id: OrderId) -> Result<Vec<(Sku, i64)>, Error> {
    let (mut lines, mut short, mut behind) = (Vec::new(), Vec::new(), false);
    for row in rows {
        let (sku, asked): (Sku, i64) = (row.try_get("sku")?, row.try_get("quantity")?);
        if !row.try_get::<bool, _>("locked")? {
            return Err(Error::suppressed_in("products", Order::ENTITY, id));
        }
        if row.try_get("paused")? {
            return Err(Error::product_paused(sku));
        }
        let available: i64 = row.try_get("available")?;
        let obtainable = available + row.try_get::<i64, _>("expired")?;
        behind |= available < asked;
        if obtainable < asked {
            let asked = Quantity::new(asked).map_err(impossible)?;
            short.push(Shortage::new(sku.clone(), asked, obtainable));
        }
        lines.push((sku, asked));
    }
    match (short.is_empty(), behind) {
        (false, _) => Err(Error::insufficient_stock(short)),
        (true, true) => Ok(lines),
        (true, false) => Err(Error::suppressed(Order::ENTITY, id)),
    }
}
