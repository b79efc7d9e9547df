//! The ledger of one product.

use sqlx::PgConnection;

use crate::{
    Version,
    inventory::{
        model::{Error, Movement, Page, Sku},
        postgres::{row, sql},
    },
};

/// Reads a page of a product's movements.
pub(crate) async fn page_of(
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
