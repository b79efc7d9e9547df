//! The ledger of one product.

use sqlx::{Row, postgres::PgRow};
use uuid::Uuid;

use crate::{
    Version,
    inventory::{
        model::{Error, Movement, MovementKind, Page, Sku},
        postgres::{schema::SchemaConnection, sql, types::Time},
    },
};

/// Reads a page of a product's movements.
pub(crate) async fn page_of(
    conn: &mut SchemaConnection<'_>,
    sku: &Sku,
    page: &Page<Version>,
) -> Result<Vec<Movement>, Error> {
    let found = sqlx::query(conn.sql(sql::ledger::MOVEMENTS))
        .bind(sku)
        .bind(page.after.map_or(0, Version::get))
        .bind(i64::from(page.limit()))
        .fetch_all(&mut **conn)
        .await;
    found.map_err(Error::before)?.iter().map(movement).collect()
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
