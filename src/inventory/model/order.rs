use chrono::{DateTime, Utc};

use super::{Currency, Money, Quantity, Sku, id::OrderId, order_status::OrderStatus};
use crate::{Version, Versioned};

/// A line of an order: one product.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct OrderLine {
    /// The product.
    pub sku: Sku,
    /// Units taken.
    pub quantity: Quantity,
    /// Price of one unit at the time of the checkout.
    pub price: Money,
    /// Units that were returned after the payment: 0 to `quantity`.
    pub returned: i64,
}

impl OrderLine {
    /// Creates a line of which nothing was returned.
    #[must_use]
    pub const fn new(sku: Sku, quantity: Quantity, price: Money) -> Self {
        Self {
            sku,
            quantity,
            price,
            returned: 0,
        }
    }
}

/// An order as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Order {
    /// The id.
    pub id: OrderId,
    /// The customer, as the host named it.
    pub customer: Option<String>,
    /// The state.
    pub status: OrderStatus,
    /// One line per product, sorted by SKU.
    pub lines: Vec<OrderLine>,
    /// Sum of quantity times price over the lines.
    pub total: Money,
    /// The version, which grows with every change of the order.
    pub version: Version,
    /// The reason of the cancellation, if the order is cancelled.
    pub reason: Option<String>,
    /// The time at which the checkout was accepted.
    pub created_at: DateTime<Utc>,
    /// Whether the call changed nothing because an earlier call had the same effect.
    pub replayed: bool,
}

impl Order {
    /// Creates an order that awaits payment, for implementations of [`Inventory`](crate::inventory::Inventory)
    /// and for tests. `None` when the lines are in several currencies or the total is too large.
    #[must_use]
    pub fn new(id: OrderId, lines: Vec<OrderLine>, created_at: DateTime<Utc>) -> Option<Self> {
        let currency = lines
            .first()
            .map_or(Currency::NONE, |line| line.price.currency());
        let total = lines.iter().try_fold(Money::zero(currency), |sum, line| {
            sum.plus(line.price.times(line.quantity)?)
        })?;
        Some(Self {
            id,
            customer: None,
            status: OrderStatus::PendingPayment,
            lines,
            total,
            version: Version::FIRST,
            reason: None,
            created_at,
            replayed: false,
        })
    }
}

impl Versioned for Order {
    type Id = OrderId;
    const ENTITY: &'static str = "order";

    fn id(&self) -> &OrderId {
        &self.id
    }

    fn version(&self) -> Version {
        self.version
    }
}
