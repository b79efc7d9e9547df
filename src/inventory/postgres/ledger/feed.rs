//! The feed of all movements, each once: reads below the oldest transaction that may still write.

use sqlx::Row;

use super::movements::movement;
use crate::inventory::{
    model::{Error, FeedPosition, MovementFeed},
    postgres::{schema::SchemaConnection, sql},
};

/// Reads a page of the movements after `position`.
pub(crate) async fn since(
    conn: &mut SchemaConnection<'_>,
    position: &FeedPosition,
    limit: u32,
) -> Result<MovementFeed, Error> {
    let rows = sqlx::query(conn.sql(sql::ledger::MOVEMENTS_SINCE))
        .bind(position.transaction)
        .bind(&position.sku)
        .bind(position.version)
        .bind(i64::from(limit.clamp(1, 10_000)))
        .fetch_all(&mut **conn)
        .await
        .map_err(Error::before)?;
    let mut page = MovementFeed {
        movements: Vec::with_capacity(rows.len()),
        next: position.clone(),
    };
    for row in &rows {
        if position.transaction >= row.try_get::<i64, _>("horizon")? {
            let why = "is ahead of this database: it is that of another one, or from before a dump \
                       was restored";
            return Err(Error::invalid("feed position", why));
        }
        let Some(transaction) = row.try_get("transaction_id")? else {
            continue; // nothing to read yet
        };
        let movement = movement(row)?;
        page.next = FeedPosition {
            transaction,
            sku: movement.sku.to_string(),
            version: movement.version.get(),
        };
        page.movements.push(movement);
    }
    Ok(page)
}
