//! The hook of a host, which runs with every accepted checkout.

mod accepted;
mod batch_answer;
mod effects;
mod refusals;
mod unfinished_sale;

#[cfg(doc)]
use crate::inventory::model::ErrorKind;
use std::{fmt, sync::Arc};

use async_trait::async_trait;
use sqlx::PgConnection;

use crate::inventory::model::{BoxError, Error};

pub use accepted::{Accepted, Change};
#[allow(unused_imports, reason = "for batches")]
pub(crate) use batch_answer::{BatchAnswer, FailedCall, TakenOut};
pub(crate) use effects::Effects;
pub use refusals::Refusals;
pub(crate) use unfinished_sale::UnfinishedSale;

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
/// its commit. Keep the hook short. To publish accepted orders, and nothing else, no hook is needed: the
/// [outbox](crate::inventory::PgInventory::with_outbox) of the crate costs no round trip.
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

    /// Runs once for each batch of a [`BatchedInventory`](crate::inventory::BatchedInventory), in the batch's
    /// transaction: `accepted` are the checkouts whose orders the batch created, in the order of arrival.
    ///
    /// By default it calls [`on_accepted`](Self::on_accepted) for each, until one fails: a transaction in which
    /// a statement failed takes no further one, so that the later checkouts are not asked. A batch has up to 256
    /// checkouts whose products are locked meanwhile. Implement it with one statement for all of them, with the
    /// same effects as `on_accepted`, which runs for a checkout outside of a batch.
    ///
    /// - Without [`Refusals`], the batch is committed.
    /// - With refusals, the batch is rolled back, with everything that the hook wrote, and written once more
    ///   without the refused checkouts. The hook runs again for the others. A refused checkout is answered with
    ///   [`ErrorKind::Hook`]; if its error is a conflict or of a busy system, it is attempted again outside of
    ///   the batch.
    /// - With an error, the batch is rolled back, and its checkouts run one by one, each with `on_accepted`: only
    ///   the failing one is refused. A hook that returns `Ok` although one of its statements failed is treated
    ///   in the same way. After a conflict or an error of a busy system, such as a connection that was lost in
    ///   the hook, the batch is first attempted again, at most twice.
    /// - With an error of class [`Unknown`](crate::Class::Unknown), as a call or as a refusal, the batch is
    ///   rolled back, and every checkout of it is answered with that error: an effect outside of the transaction
    ///   may have happened for each of them.
    ///
    /// ```
    /// use optilock::inventory::{Accepted, BoxError, OnAccepted, Refusals};
    /// use optilock::sqlx::{self, PgConnection};
    ///
    /// /// Writes a delivery for every order, and refuses an order without an address.
    /// struct Deliveries;
    ///
    /// #[async_trait::async_trait]
    /// impl OnAccepted for Deliveries {
    ///     async fn on_accepted(&self, conn: &mut PgConnection, accepted: &Accepted) -> Result<(), BoxError> {
    ///         let refusals = self.on_accepted_many(conn, std::slice::from_ref(accepted)).await?;
    ///         refusals.into_result()
    ///     }
    ///
    ///     async fn on_accepted_many(
    ///         &self,
    ///         conn: &mut PgConnection,
    ///         accepted: &[Accepted],
    ///     ) -> Result<Refusals, BoxError> {
    ///         let (mut ids, mut addresses) = (vec![], vec![]);
    ///         let mut refusals = Refusals::none();
    ///         for accepted in accepted {
    ///             match accepted.context::<String>() {
    ///                 Some(address) => {
    ///                     ids.push(accepted.order.id.uuid());
    ///                     addresses.push(address.as_str());
    ///                 }
    ///                 None => refusals.refuse(accepted.order.id, "it has no address"),
    ///             }
    ///         }
    ///         if refusals.is_empty() {
    ///             sqlx::query("INSERT INTO shop.deliveries (order_id, address) SELECT * FROM unnest($1, $2)")
    ///                 .bind(ids)
    ///                 .bind(addresses)
    ///                 .execute(conn)
    ///                 .await?;
    ///         }
    ///         Ok(refusals)
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// An error that concerns no single checkout of the batch.
    async fn on_accepted_many(
        &self,
        conn: &mut PgConnection,
        accepted: &[Accepted],
    ) -> Result<Refusals, BoxError> {
        for accepted in accepted {
            if let Err(error) = self.on_accepted(conn, accepted).await {
                return Ok(Refusals::of(accepted.order.id, error));
            }
        }
        Ok(Refusals::none())
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

    /// Calls the hook for the accepted checkouts of a batch, in the batch's transaction.
    #[allow(
        dead_code,
        reason = "for batches, which bypass the queue with a hook so far"
    )]
    pub(crate) async fn call_many(
        &self,
        conn: &mut PgConnection,
        accepted: &[Accepted],
    ) -> BatchAnswer {
        let Some(hook) = &self.0 else {
            return BatchAnswer::Accepted;
        };
        BatchAnswer::of(hook.on_accepted_many(conn, accepted).await, accepted)
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_some() { "Hook" } else { "None" })
    }
}
