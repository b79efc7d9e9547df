//! The outbox, as its readers use it.

mod entries;

use sqlx::PgConnection;

use super::{PgInventory, executor::Work};
#[cfg(doc)]
use crate::inventory::model::ErrorKind;
use crate::inventory::model::{Error, OutboxFeed, OutboxPosition};

impl PgInventory {
    /// Returns the orders in the [outbox](Self::with_outbox) after `position`, at most `limit` of them (1 to 1,000), and
    /// the position after them. A reader that continues from there gets each order exactly once, also those of
    /// transactions that commit in another order than they began.
    ///
    /// An order is returned when every transaction that began to write before its checkout has ended, as a movement
    /// by [`movements_since`](Self::movements_since). An order that other code has deleted is left out.
    ///
    /// A single reader needs no position: it reads from [`OutboxPosition::START`], publishes the orders and
    /// acknowledges them. If it stops in between, it gets the same orders again. Several readers store a position
    /// each, and acknowledge up to the smallest of them.
    ///
    /// ```no_run
    /// use optilock::inventory::{Error, OutboxPosition, PgInventory};
    ///
    /// # async fn doc(shop: PgInventory, stored: String) -> Result<(), Error> {
    /// let mut position: OutboxPosition = stored.parse()?; // `OutboxPosition::START` at first
    /// let page = shop.outbox_since(&position, 100).await?;
    /// for entry in &page.entries {
    ///     // .. index it, and store `entry.position` ..
    /// }
    /// position = page.next;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] when the position is ahead of the database, or when the outbox has entries of another
    /// server, from a dump: the text says how to continue. Those of the database.
    pub async fn outbox_since(
        &self,
        position: &OutboxPosition,
        limit: u32,
    ) -> Result<OutboxFeed, Error> {
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(entries::since(conn, position, limit));
        let feed = self.executor.read("outbox since", work).await?;
        if feed.next != *position {
            // A reader that is ahead of the standby would skip what is written after a failover.
            self.executor.shown_is_replicated().await?;
        }
        Ok(feed)
    }

    /// Deletes the entries of the outbox up to `position`, which [`outbox_since`](Self::outbox_since) returned, that of
    /// `position` included. Returns how many; if an answer of the database was lost, there may have been more.
    ///
    /// It deletes at most 1,000 rows per transaction, and no checkout waits for it. If its future is dropped, some
    /// entries are deleted, the oldest first. A repeated call finds nothing to delete.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] when the position is ahead of the database, [`ErrorKind::Suppressed`] when a trigger
    /// keeps an entry, and those of the database. Entries that were deleted before stay deleted.
    pub async fn acknowledge_outbox(&self, position: &OutboxPosition) -> Result<u64, Error> {
        entries::acknowledge(&self.executor, position).await
    }

    /// Runs [`outbox_since`](Self::outbox_since) in the caller's transaction, whose own checkouts are not included. It
    /// does not wait for a synchronous standby: use the position only if the transaction writes, since its commit waits.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn outbox_since_in(
        &self,
        conn: &mut PgConnection,
        position: &OutboxPosition,
        limit: u32,
    ) -> Result<OutboxFeed, Error> {
        entries::since(&mut self.schema().on(conn), position, limit).await
    }

    /// Runs [`acknowledge_outbox`](Self::acknowledge_outbox) in the caller's transaction, for example with the host's
    /// own rows that record the orders: then each order is recorded exactly once. Locks the entries until then;
    /// another call waits.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn acknowledge_outbox_in(
        &self,
        conn: &mut PgConnection,
        position: &OutboxPosition,
    ) -> Result<u64, Error> {
        entries::acknowledge_in(&mut self.schema().on(conn), position).await
    }
}
