//! The archive: hands rows over that are no longer needed, in the transaction that removes them.

mod ledgers;
mod orders;
mod reservations;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, Row};
use uuid::Uuid;

use super::{PgInventory, executor::Work, schema::SchemaConnection, types::Time};
use crate::inventory::model::{ArchivePosition, Archived, Error, archive::Place};
#[cfg(doc)]
use crate::inventory::model::{ErrorKind, HeldBy, MovementKind};

impl PgInventory {
    /// Removes what ended before a time, at most `limit` (2 to 100,000) orders, reservations or movements, and returns
    /// it. Call it with the returned position until there is none: first orders, then reservations, then the ledgers are
    /// looked at, each call in a transaction of its own whose time does not depend on the size of the shop. Sales don't
    /// wait for it. A request for an order that is leaving waits, and holds the locks that it has: keep the transaction
    /// of [`archive_in`](Self::archive_in) short. After a call whose future was dropped, start from the beginning: the
    /// next call may pass rows by that the dropped one still has locked.
    ///
    /// **If this process ends before it has stored the returned rows, they are lost**, and so are those of a call whose
    /// answer the network lost. To keep them, call [`archive_in`](Self::archive_in) in a transaction that stores them.
    ///
    /// What leaves:
    ///
    /// - An order that is paid or cancelled, with its lines and returns, if it and all of its movements are from before
    ///   the time, its idempotency key is [forgotten](crate::inventory::Inventory::cleanup_idempotency_keys), no entry
    ///   of the [outbox](Self::with_outbox) is left of it, and its lines agree with the ledger. Each call reads the outbox.
    /// - A reservation with its holds, if it is from before the time, nothing of it is held, and its holds expired, or
    ///   would have, before the time.
    /// - The movements of each product from before the time that are older than an hour, up to the first one whose order
    ///   or reservation stays. The last one that leaves becomes an [opening balance](MovementKind::Opening), which stands
    ///   for all before it.
    ///   [`ledgers`](Archived::ledgers) tells how far each ledger is closed and [what holds the rest](HeldBy).
    ///
    /// The ids of orders, reservations and adjustments stay. A request that is sent again, a step or a return of an
    /// archived order, or a read by its id, is [`ErrorKind::Archived`], and never takes effect twice. Lists of orders
    /// leave archived ones out. A reader of [`movements_since`](Self::movements_since) gets the opening balance instead
    /// of the movements that it has not read, in the place of the last of them: let all readers come to their end after the
    /// time first.
    ///
    /// An instance of an older version of the crate takes an archived order for a void one, and does not know archived
    /// adjustments: update all instances first.
    ///
    /// A role that does not own the tables also needs `DELETE` on `order_lines`, `returns`, `holds` and `movements`,
    /// `SELECT` and `INSERT` on `archived_tokens`, and `SELECT` on `outbox`.
    ///
    /// # Errors
    ///
    /// Those of the database; what earlier calls removed stays removed.
    pub async fn archive(&self, position: &ArchivePosition, limit: u32) -> Result<Archived, Error> {
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(page(conn, position, limit));
        self.executor().locked("archive", work).await
    }

    /// Runs [`archive`](Self::archive) in the caller's transaction, which stores the rows: none is lost, and none is
    /// handed over twice. If its future is dropped, roll the transaction back, as [`transact`](crate::postgres::transact())
    /// does: the rows may be removed.
    ///
    /// ```no_run
    /// use optilock::{RetryPolicy, inventory::{ArchivePosition, Error, PgInventory}, postgres::transact};
    ///
    /// # async fn doc(pool: sqlx::PgPool, shop: PgInventory, stored: String) -> Result<(), Box<dyn std::error::Error>> {
    /// let mut position = Some(ArchivePosition::before("2025-01-01T00:00:00Z".parse()?)); // or the stored one
    /// while let Some(from) = position {
    ///     position = transact(&pool, &RetryPolicy::new(), async |tx| {
    ///         let archived = shop.archive_in(tx, &from, 10_000).await?;
    ///         for movement in &archived.movements {
    ///             sqlx::query("INSERT INTO old_movements (sku, version, delta) VALUES ($1, $2, $3)")
    ///                 .bind(movement.sku.as_str()).bind(movement.version.get()).bind(movement.delta)
    ///                 .execute(&mut **tx).await?; // .. and the orders, returns and reservations ..
    ///         }
    ///         Ok::<_, Error>(archived.next)
    ///     })
    ///     .await?;
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn archive_in(
        &self,
        conn: &mut PgConnection,
        position: &ArchivePosition,
        limit: u32,
    ) -> Result<Archived, Error> {
        page(&mut self.schema().on(conn), position, limit).await
    }
}

/// A page of all orders or reservations, of which those that may leave are locked.
struct LockedPage {
    locked: Vec<Uuid>,
    /// The last id of the page, unless it is the last page.
    next: Option<Uuid>,
}

impl LockedPage {
    async fn read(
        conn: &mut SchemaConnection<'_>,
        statement: &'static str,
        before: DateTime<Utc>,
        after: Option<Uuid>,
        limit: i64,
    ) -> Result<Self, Error> {
        let page = sqlx::query(conn.sql(statement))
            .bind(Time(before))
            .bind(after)
            .bind(limit)
            .fetch_one(&mut **conn)
            .await
            .map_err(Error::before)?;
        let is_full = page.try_get::<i64, _>("rows")? == limit;
        let last: Option<Uuid> = page.try_get("last")?;
        Ok(Self {
            locked: page.try_get("locked")?,
            next: last.filter(|_| is_full),
        })
    }
}

/// Refuses to remove rows that were not read.
fn check_handed_over(what: &str, read: usize, leaving: usize) -> Result<(), Error> {
    match read == leaving {
        true => Ok(()),
        false => Err(Error::suppressed_in(what, "rows", "of an archive")),
    }
}

async fn page(
    conn: &mut SchemaConnection<'_>,
    position: &ArchivePosition,
    limit: u32,
) -> Result<Archived, Error> {
    let (before, limit) = (position.before, i64::from(limit.clamp(2, 100_000)));
    let mut archived = Archived::new();
    let next = match &position.place {
        Place::Orders(after) => {
            let next = orders::archive(conn, before, *after, limit, &mut archived).await?;
            Some(next.map_or(Place::Reservations(None), |id| Place::Orders(Some(id))))
        }
        Place::Reservations(after) => {
            let next = reservations::archive(conn, before, *after, limit, &mut archived).await?;
            let ledgers = || Place::From(String::new());
            Some(next.map_or_else(ledgers, |id| Place::Reservations(Some(id))))
        }
        place @ (Place::From(_) | Place::After(_)) => {
            ledgers::archive(conn, before, place, limit, &mut archived).await?
        }
    };
    archived.next = next.map(|place| ArchivePosition { before, place });
    Ok(archived)
}
