//! What a host does together with a sale.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use sqlx::PgConnection;

use crate::{
    Version,
    inventory::{Error, Order, Quantity, Sku},
};

/// Whatever a hook fails with. Its [class](crate::Classify) is looked up through its sources: a
/// conflict is tried again with the sale, anything else refuses it.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a host does with every accepted checkout, in its transaction: write an outbox, count for a
/// customer, refuse by a rule of its own.
///
/// It is there when the order is, and gone when it is not: what it writes through `conn` commits and
/// rolls back with the sale. A replayed order was accepted before and calls nothing. Anything that
/// isn't written through `conn` (a mail, a message to a broker) may happen for a sale that then rolls
/// back, and again when it is tried again: write it down here and send it later, as the example
/// `outbox` does.
///
/// A sale with a hook is a transaction of several round trips, and holds its products from its
/// statement until its commit. Keep it short.
///
/// ```
/// use optilock::inventory::{Accepted, BoxError, OnAccepted};
/// use optilock::sqlx::{self, PgConnection};
///
/// /// Tells the buyers of the shop what runs low.
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
    /// Called once for each attempt that made the order.
    ///
    /// # Errors
    ///
    /// Whatever it fails with: the sale is undone and answered with [`Error::Hook`].
    async fn on_accepted(
        &self,
        conn: &mut PgConnection,
        accepted: &Accepted,
    ) -> Result<(), BoxError>;
}

/// A checkout that took what it asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accepted {
    /// Its order.
    pub order: Order,
    /// What it did to each product, sorted by SKU.
    pub changes: Vec<Change>,
}

impl Accepted {
    /// For tests of a hook.
    #[must_use]
    pub const fn new(order: Order, changes: Vec<Change>) -> Self {
        Self { order, changes }
    }
}

/// What a sale did to one product.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The product.
    pub sku: Sku,
    /// Units sold.
    pub quantity: Quantity,
    /// The product's version from now on.
    pub version: Version,
    /// Units on hand from now on.
    pub stock: i64,
    /// Units of them that reservations hold.
    pub reserved: i64,
}

impl Change {
    /// For tests of a hook.
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

    /// Whether this sale was the one that took the units on hand below `threshold`. Of all sales until
    /// units come back it is one. What an adjustment, a count or a revived order takes tells no hook.
    #[must_use]
    pub const fn went_below(&self, threshold: i64) -> bool {
        self.stock < threshold && self.stock + self.quantity.get() >= threshold
    }

    /// Units that can still be sold: on hand less reserved.
    #[must_use]
    pub const fn available(&self) -> i64 {
        self.stock - self.reserved
    }
}

/// The host's hook, if it has one.
#[derive(Clone, Default)]
pub(super) struct Hook(pub(super) Option<Arc<dyn OnAccepted>>);

impl Hook {
    pub(super) const fn is_some(&self) -> bool {
        self.0.is_some()
    }

    pub(super) async fn call(
        &self,
        conn: &mut PgConnection,
        accepted: &Accepted,
    ) -> Result<(), Error> {
        let Some(hook) = &self.0 else {
            return Ok(());
        };
        let done = hook.on_accepted(conn, accepted).await;
        done.map_err(|source| Error::Hook {
            id: accepted.order.id,
            source,
        })
    }
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
    fn one_sale_goes_below() {
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
