//! The hook of a host, which runs with every accepted checkout.

#[cfg(doc)]
use crate::inventory::model::ErrorKind;
use std::{fmt, sync::Arc};

use async_trait::async_trait;
use sqlx::{AssertSqlSafe, PgConnection, postgres::PgQueryResult};
use uuid::Uuid;

use crate::{
    Version,
    inventory::model::{BoxError, Error, Order, OrderId, Quantity, Sku, error::Repr},
    postgres::is_aborted,
};

/// A hook that runs for every accepted checkout, in its transaction: to write an outbox, to count for a
/// customer, or to refuse by a rule of the host's.
///
/// What the hook writes through `conn` commits and rolls back with the sale. A replayed order was accepted
/// before and calls no hook. An effect that is not written through `conn` (a mail, a message to a broker) may
/// happen for a sale that is rolled back, and again when the sale is retried: record it here and send it later,
/// as the example `outbox` does.
///
/// In [`checkout_in`](crate::inventory::PgInventory::checkout_in) the transaction is the host's and may
/// continue after the checkout. If the hook fails, only the sale is undone; this includes a hook that returns
/// `Ok` although one of its statements failed, which is answered with [`ErrorKind::Hook`]. If the checkout's
/// future is dropped before the hook ends, for example by a timeout, nothing undoes the sale, and the whole
/// transaction can only be rolled back: its `COMMIT` fails with 23503, the constraint `sale_needs_its_hook` of
/// the table `optilock.unfinished_sales`. The host's role needs `DELETE` on that table too. For the same reason
/// a hook can't `SET CONSTRAINTS ALL IMMEDIATE` there; it may name its own constraints.
///
/// A sale with a hook is a transaction of several round trips, and locks its products from its statement until
/// its commit. Keep the hook short.
///
/// ```
/// use optilock::inventory::{Accepted, BoxError, OnAccepted};
/// use optilock::sqlx::{self, PgConnection};
///
/// /// Reports products that are running low.
/// struct LowStock;
///
/// #[async_trait::async_trait]
/// impl OnAccepted for LowStock {
///     async fn on_accepted(&self, conn: &mut PgConnection, accepted: &Accepted) -> Result<(), BoxError> {
///         for change in accepted.changes.iter().filter(|change| change.went_below(5)) {
///             sqlx::query("INSERT INTO shop.outbox (event, sku, stock) VALUES ('low-stock', $1, $2)")
///                 .bind(change.sku.as_str())
///                 .bind(change.stock)
///                 .execute(&mut *conn)
///                 .await?;
///         }
///         Ok(())
///     }
/// }
/// ```
#[async_trait]
pub trait OnAccepted: Send + Sync {
    /// Runs once for each attempt that created the order.
    ///
    /// # Errors
    ///
    /// After any error the sale is undone and answered with [`ErrorKind::Hook`].
    async fn on_accepted(
        &self,
        conn: &mut PgConnection,
        accepted: &Accepted,
    ) -> Result<(), BoxError>;
}

/// An accepted checkout.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// The order.
    pub order: Order,
    /// The change of each product, sorted by SKU.
    pub changes: Vec<Change>,
}

impl Accepted {
    /// Creates a value for tests of a hook.
    #[must_use]
    pub const fn new(order: Order, changes: Vec<Change>) -> Self {
        Self { order, changes }
    }
}

/// The change of one product by a sale.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The product.
    pub sku: Sku,
    /// Units sold.
    pub quantity: Quantity,
    /// The product's version after the sale.
    pub version: Version,
    /// Units on hand after the sale.
    pub stock: i64,
    /// Units of those that reservations hold.
    pub reserved: i64,
}

impl Change {
    /// Creates a value for tests of a hook.
    #[must_use]
    pub const fn new(
        sku: Sku,
        quantity: Quantity,
        version: Version,
        stock: i64,
        reserved: i64,
    ) -> Self {
        Self {
            sku,
            quantity,
            version,
            stock,
            reserved,
        }
    }

    /// Returns whether this sale took the units on hand below `threshold`. That is true for one sale until
    /// units come back. Adjustments, counts and revived orders call no hook.
    #[must_use]
    pub const fn went_below(&self, threshold: i64) -> bool {
        self.stock < threshold && self.stock + self.quantity.get() >= threshold
    }

    /// Returns the units that can still be sold: on hand less reserved.
    #[must_use]
    pub const fn available(&self) -> i64 {
        self.stock - self.reserved
    }
}

/// The host's hook, if any.
#[derive(Clone, Default)]
pub(crate) struct Hook(pub(crate) Option<Arc<dyn OnAccepted>>);

impl Hook {
    pub(crate) const fn is_some(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) async fn call(
        &self,
        conn: &mut PgConnection,
        accepted: &Accepted,
    ) -> Result<(), Error> {
        let Some(hook) = &self.0 else {
            return Ok(());
        };
        let done = hook.on_accepted(conn, accepted).await;
        done.map_err(|source| Error::hook(accepted.order.id, source))
    }
}

/// A sale in a transaction of the host's until its hook has ended.
///
/// Until then its row in `optilock.unfinished_sales` violates a constraint that is checked at `COMMIT`: nothing
/// else undoes a sale whose future was dropped while the host's transaction continues. Each step is one
/// message, which the server executes as a whole. They are plain SQL, as sqlx does not count a transaction that
/// the host began in SQL.
#[must_use]
pub(crate) struct UnfinishedSale {
    order: OrderId,
    call: Uuid,
}

impl UnfinishedSale {
    /// Sets a savepoint. Outside of a transaction the server refuses it, and so the sale: there would be no
    /// transaction to undo.
    pub(crate) async fn begin(conn: &mut PgConnection, order: OrderId) -> Result<Self, Error> {
        let call = Uuid::now_v7();
        // The host may have set all constraints to immediate.
        let sql = format!(
            "SAVEPOINT optilock_sale;
             SET CONSTRAINTS optilock.sale_needs_its_hook DEFERRED;
             INSERT INTO optilock.unfinished_sales (order_id, call) VALUES ('{order}', '{call}')"
        );
        if send(conn, sql).await?.rows_affected() == 0 {
            return Err(Error::suppressed("unfinished sale", order));
        }
        Ok(Self { order, call })
    }

    /// Allows the sale to be committed.
    pub(crate) async fn finish(self, conn: &mut PgConnection) -> Result<(), Error> {
        let (order, call) = (self.order, self.call);
        let sql = format!(
            "DELETE FROM optilock.unfinished_sales
                 WHERE order_id = '{order}'::pg_catalog.uuid AND call = '{call}'::pg_catalog.uuid;
             RELEASE SAVEPOINT optilock_sale"
        );
        let Err(error) = send(conn, sql).await else {
            return Ok(());
        };
        // Without this, the host's transaction would lose everything instead of the sale alone.
        self.undo(conn).await?;
        Err(match error.into_repr() {
            Repr::Database(source) if is_aborted(&source) => {
                Error::hook(order, Box::new(IgnoredError(source)))
            }
            other => other.into(),
        })
    }

    /// Undoes the sale alone in the host's transaction.
    pub(crate) async fn undo(self, conn: &mut PgConnection) -> Result<(), Error> {
        let sql = "ROLLBACK TO SAVEPOINT optilock_sale; RELEASE SAVEPOINT optilock_sale";
        send(conn, sql.to_owned()).await.map(drop)
    }
}

/// The error of a hook that returned `Ok` after one of its statements had failed.
#[derive(Debug, thiserror::Error)]
#[error("the hook ignored an error of the database, after which nothing can be committed")]
struct IgnoredError(#[source] sqlx::Error);

/// Sends a text of the crate's own, ids included, as one message.
async fn send(conn: &mut PgConnection, sql: String) -> Result<PgQueryResult, Error> {
    let sent = sqlx::raw_sql(AssertSqlSafe(sql)).execute(conn).await;
    sent.map_err(Error::before)
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_some() { "Hook" } else { "None" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sale_goes_below_a_threshold() {
        let change = |stock, quantity| {
            let (sku, quantity) = (Sku::new("pot").unwrap(), Quantity::new(quantity).unwrap());
            Change::new(sku, quantity, Version::FIRST, stock, 1)
        };
        assert!(!change(5, 3).went_below(5));
        assert!(change(4, 1).went_below(5));
        assert!(change(0, 9).went_below(5));
        assert!(!change(3, 1).went_below(5));
        assert_eq!(change(4, 1).available(), 3);
    }
}
