//! The report: figures and rows, each read by a statement of its own.

use std::time::Duration;

use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use crate::inventory::{
    model::{
        BestSeller, ContendedProduct, Error, NegativeStock, Report, UnpaidOrder, rates::Rates,
        report::Counts,
    },
    postgres::{orders::micros, row::money, schema::SchemaConnection, sql::ledger, types::Time},
};

pub(crate) async fn report(
    conn: &mut SchemaConnection<'_>,
    window: Duration,
    rates: &Rates,
) -> Result<Report, Error> {
    const ROWS: i64 = Report::ROWS.cast_signed() as i64;
    let back = micros(window);
    let orders = sqlx::query(conn.sql(ledger::REPORT_ORDERS))
        .bind(back)
        .fetch_one(&mut **conn)
        .await;
    let orders = orders.map_err(Error::before)?;
    let negative = sqlx::query(conn.sql(ledger::NEGATIVE_STOCK)).bind(ROWS);
    let negative = negative
        .fetch_all(&mut **conn)
        .await
        .map_err(Error::before)?;
    let unpaid = sqlx::query(conn.sql(ledger::UNPAID)).bind(micros(Report::UNPAID_AFTER));
    let unpaid = unpaid.bind(ROWS).fetch_all(&mut **conn).await;
    let unpaid = unpaid.map_err(Error::before)?;
    let sellers = sqlx::query(conn.sql(ledger::BEST_SELLERS))
        .bind(back)
        .bind(ROWS);
    let sellers = sellers
        .fetch_all(&mut **conn)
        .await
        .map_err(Error::before)?;
    let contended = sqlx::query(conn.sql(ledger::CONTENDED)).bind(Report::CONTENDED_ABOVE);
    let contended = contended.bind(ROWS).fetch_all(&mut **conn).await;
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
        Ok(UnpaidOrder::new(id.into(), since, money(row, "total")?))
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

/// Returns the number of all rows, including those beyond the limit.
fn all(rows: &[PgRow]) -> Result<u64, Error> {
    let count = rows.first().map_or(Ok(0), |row| row.try_get("all"));
    Ok(count.map(i64::unsigned_abs)?)
}
