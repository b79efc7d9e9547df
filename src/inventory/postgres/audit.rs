//! The audit in ranges.

use sqlx::PgConnection;

use super::{PgInventory, executor::Work, ledger::audit};
use crate::inventory::model::{AuditPosition, AuditRange, Error};

impl PgInventory {
    /// Audits a range of the tables: the rest of [`audit`](crate::inventory::Inventory::audit) from `position` on, at
    /// most `limit` (1 to 100,000) movements, products, orders, lines, reservations or holds. So it ends within a
    /// time that does not depend on the size of the shop, and its snapshot is short; a range of 100,000 movements takes
    /// less than a second.
    ///
    /// Each comparison is made in one snapshot, and sales may continue between the ranges: a ledger that is longer than
    /// the limit is read in several, and its product is compared with all of it by the last of them. An order is never
    /// split. Together, the ranges from [`AuditPosition::START`] to the last one, whose `next` is `None`, compare
    /// everything that existed when the first one began.
    ///
    /// ```no_run
    /// use optilock::inventory::{AuditPosition, Error, PgInventory};
    ///
    /// # async fn doc(shop: PgInventory) -> Result<(), Error> {
    /// let mut position = Some(AuditPosition::START); // or the stored one
    /// while let Some(from) = position {
    ///     let range = shop.audit_range(&from, 100_000).await?;
    ///     for discrepancy in &range.discrepancies {
    ///         println!("{discrepancy}");
    ///     }
    ///     position = range.next; // .. store it, and pause ..
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn audit_range(
        &self,
        position: &AuditPosition,
        limit: u32,
    ) -> Result<AuditRange, Error> {
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(audit::range(conn, position, limit));
        self.executor().read("audit range", work).await
    }

    /// Runs [`audit_range`](Self::audit_range) in the caller's transaction.
    ///
    /// # Errors
    ///
    /// Those of that method.
    pub async fn audit_range_in(
        &self,
        conn: &mut PgConnection,
        position: &AuditPosition,
        limit: u32,
    ) -> Result<AuditRange, Error> {
        audit::range(&mut self.schema().on(conn), position, limit).await
    }
}
