//! Sends the changes of a batch as one statement.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use sqlx::Row;

use super::{bind, changes::Changes, known::Known, read, sql};
use crate::inventory::{
    batch::connection::AttemptConnection,
    model::{Error, Sku},
    postgres::types::Time,
};

/// The result of a batch.
pub(super) enum Sent {
    /// Every request of the plan is written.
    Written(Written),
    /// A row differs from the plan, and nothing is written.
    Stale(Known),
}

/// What the statement of a batch returned.
pub(super) struct Written {
    /// The time of the statement, by the database's clock.
    pub(super) at: DateTime<Utc>,
    /// The facts of the products before the batch, under their locks.
    pub(super) before: Known,
    /// The products' units on hand before the batch.
    pub(super) stock: HashMap<Sku, i64>,
}

/// Sends the changes.
pub(super) async fn write(
    conn: &mut AttemptConnection<'_>,
    changes: &Changes<'_>,
    outbox: bool,
) -> Result<Sent, Error> {
    let mixed = changes.is_mixed();
    let mut orders = changes.orders.clone();
    orders.sort_by(|a, b| a.insert_order().cmp(&b.insert_order()));
    let query = sqlx::query(conn.sql(sql::batch(mixed, outbox)));
    let query = bind::sales(query, changes, &orders);
    let query = match mixed {
        true => bind::mixed(query, changes, &orders),
        false => query,
    };
    let rows = query.fetch_all(&mut *conn.get().await?).await;
    let rows = rows.map_err(|error| Error::of_several(error, "request", "of a batch"))?;
    let mut before = Known::default();
    read::learn(&rows, &mut before)?;
    match rows.first() {
        Some(first) if first.try_get("ok")? => {
            let Time(at) = first.try_get("created_at")?;
            let stock = rows.iter().filter_map(|row| {
                let sku = row.try_get::<Option<Sku>, _>("sku").transpose()?;
                Some(sku.and_then(|sku| Ok((sku, row.try_get("stock")?))))
            });
            let stock = stock.collect::<Result<_, sqlx::Error>>()?;
            Ok(Sent::Written(Written { at, before, stock }))
        }
        _ => Ok(Sent::Stale(before)),
    }
}
