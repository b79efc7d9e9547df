//! All movements, each once: read below the oldest transaction that may still write.

#[cfg(doc)]
use crate::inventory::model::ErrorKind;
use sqlx::{PgConnection, Row};

use super::{PgInventory, row, sql};
use crate::inventory::model::{Error, FeedPosition, MovementFeed};

impl PgInventory {
    /// Returns the movements of all products after `position`, at most `limit` of them (1 to 10,000), and the
    /// position after them. A reader that goes on from there gets each movement exactly once, also those of
    /// transactions that commit in another order than they began.
    ///
    /// A movement is returned when no transaction is open that began to write before it: one that stays open,
    /// in any database of the server, delays the feed. An empty page says that there is nothing to read yet.
    /// [`movements`](crate::inventory::Inventory::movements) reads one product and is never delayed.
    ///
    /// ```no_run
    /// use optilock::inventory::{Error, FeedPosition, PgInventory};
    ///
    /// # async fn doc(shop: PgInventory, stored: String) -> Result<(), Error> {
    /// let mut position: FeedPosition = stored.parse()?; // `FeedPosition::START` at first
    /// let page = shop.movements_since(&position, 1_000).await?;
    /// for movement in &page.movements {
    ///     // .. write it where it is needed, in one transaction with `page.next` ..
    /// }
    /// position = page.next;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] when the position is ahead of the database: it is that of another one, or the
    /// database was restored from a dump. Those of the database.
    pub async fn movements_since(
        &self,
        position: &FeedPosition,
        limit: u32,
    ) -> Result<MovementFeed, Error> {
        self.read("movements since", async |conn: &mut PgConnection, _| {
            since(conn, position, limit).await
        })
        .await
    }

    /// [`movements_since`](Self::movements_since) in the caller's transaction, whose own movements are not
    /// among them.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn movements_since_in(
        &self,
        conn: &mut PgConnection,
        position: &FeedPosition,
        limit: u32,
    ) -> Result<MovementFeed, Error> {
        since(conn, position, limit).await
    }
}

async fn since(
    conn: &mut PgConnection,
    position: &FeedPosition,
    limit: u32,
) -> Result<MovementFeed, Error> {
    let rows = sqlx::query(sql::ledger::MOVEMENTS_SINCE)
        .bind(position.transaction)
        .bind(&position.sku)
        .bind(position.version)
        .bind(i64::from(limit.clamp(1, 10_000)))
        .fetch_all(conn)
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
        let movement = row::movement(row)?;
        page.next = FeedPosition {
            transaction,
            sku: movement.sku.to_string(),
            version: movement.version.get(),
        };
        page.movements.push(movement);
    }
    Ok(page)
}
