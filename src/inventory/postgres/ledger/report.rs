//! The report: its figures and rows, each by a statement of its own.

use std::time::Duration;

use sqlx::{PgConnection, Row, postgres::PgRow};
use uuid::Uuid;

use crate::inventory::{
    model::rates::Rates,
    model::{
        BestSeller, ContendedProduct, Error, NegativeStock, Report, UnpaidOrder, report::Counts,
    },
    postgres::{orders::micros, row, types::Time},
};

/// `$1` window in microseconds. By the index of creation times the database skips the blocks that hold
/// older orders only.
const ORDERS: &str = "SELECT pg_catalog.statement_timestamp() AS made_at, pg_catalog.count(*) AS orders,
        pg_catalog.count(*) FILTER (WHERE o.status IN (1, 3)) AS failed
    FROM optilock.orders o
    WHERE o.status <> 4
        AND o.created_at > pg_catalog.statement_timestamp() - $1::bigint::float8 * interval '1 microsecond'";

/// `$1` rows. Reads every product.
const NEGATIVE_STOCK: &str =
    "SELECT p.sku, p.stock, p.reserved, p.version, pg_catalog.count(*) OVER () AS all
    FROM optilock.products p WHERE NOT p.retired AND p.stock < greatest(p.reserved, 0::bigint)
    ORDER BY p.stock::numeric - p.reserved::numeric, p.sku LIMIT $1";

/// `$1` age in microseconds, `$2` rows.
const UNPAID: &str = "SELECT o.id, o.pending_since, o.total, o.currency, pg_catalog.count(*) OVER () AS all
    FROM optilock.orders o
    WHERE o.status IN (0, 1)
        AND o.pending_since <= pg_catalog.statement_timestamp() - $1::bigint::float8 * interval '1 microsecond'
    ORDER BY o.pending_since, o.id LIMIT $2";

/// `$1` window in microseconds, `$2` rows.
const BEST_SELLERS: &str = "SELECT l.sku, pg_catalog.sum(l.quantity - l.returned)::bigint AS units,
        pg_catalog.count(*) AS orders
    FROM optilock.orders o JOIN optilock.order_lines l ON l.order_id = o.id
    WHERE o.status IN (0, 1, 2)
        AND o.created_at > pg_catalog.statement_timestamp() - $1::bigint::float8 * interval '1 microsecond'
    GROUP BY l.sku ORDER BY units DESC, l.sku LIMIT $2";

/// `$1` version, `$2` rows. Reads every product: an index on versions would cost every sale.
const CONTENDED: &str = "SELECT sku, version FROM optilock.products WHERE version > $1
    ORDER BY version DESC, sku LIMIT $2";

pub(crate) async fn report(
    conn: &mut PgConnection,
    window: Duration,
    rates: &Rates,
) -> Result<Report, Error> {
    const ROWS: i64 = Report::ROWS.cast_signed() as i64;
    let back = micros(window);
    let orders = sqlx::query(ORDERS).bind(back).fetch_one(&mut *conn).await;
    let orders = orders.map_err(Error::before)?;
    let negative = sqlx::query(NEGATIVE_STOCK).bind(ROWS);
    let negative = negative
        .fetch_all(&mut *conn)
        .await
        .map_err(Error::before)?;
    let unpaid = sqlx::query(UNPAID).bind(micros(Report::UNPAID_AFTER));
    let unpaid = unpaid.bind(ROWS).fetch_all(&mut *conn).await;
    let unpaid = unpaid.map_err(Error::before)?;
    let sellers = sqlx::query(BEST_SELLERS).bind(back).bind(ROWS);
    let sellers = sellers.fetch_all(&mut *conn).await.map_err(Error::before)?;
    let contended = sqlx::query(CONTENDED).bind(Report::CONTENDED_ABOVE);
    let contended = contended.bind(ROWS).fetch_all(&mut *conn).await;
    let contended = contended.map_err(Error::before)?;

    let counts = Counts {
        negative_stock: all(&negative)?,
        unpaid: all(&unpaid)?,
        orders: orders.try_get("orders").map(i64::unsigned_abs)?,
        failed: orders.try_get("failed").map(i64::unsigned_abs)?,
    };
    let Time(made_at) = orders.try_get("made_at")?;
    let mut report = Report::of(made_at, window, counts, rates);
    report.negative_stock = rows(&negative, |row| {
        let (stock, reserved) = (row.try_get("stock")?, row.try_get("reserved")?);
        let (sku, version) = (row.try_get("sku")?, row.try_get("version")?);
        Ok(NegativeStock::new(sku, stock, reserved, version))
    })?;
    report.unpaid = rows(&unpaid, |row| {
        let Time(since) = row.try_get("pending_since")?;
        let id: Uuid = row.try_get("id")?;
        Ok(UnpaidOrder::new(id.into(), since, row::total(row)?))
    })?;
    report.best_sellers = rows(&sellers, |row| {
        let (units, orders) = (row.try_get("units")?, row.try_get("orders")?);
        Ok(BestSeller::new(row.try_get("sku")?, units, orders))
    })?;
    report.contended = rows(&contended, |row| {
        let (sku, version) = (row.try_get("sku")?, row.try_get("version")?);
        Ok(ContendedProduct::new(sku, version))
    })?;
    Ok(report)
}

fn rows<T>(rows: &[PgRow], value: impl Fn(&PgRow) -> Result<T, Error>) -> Result<Vec<T>, Error> {
    rows.iter().map(value).collect()
}

/// Of all rows, those beyond the limit too.
fn all(rows: &[PgRow]) -> Result<u64, Error> {
    let count = rows.first().map_or(Ok(0), |row| row.try_get("all"));
    Ok(count.map(i64::unsigned_abs)?)
}
