use chrono::{DateTime, Utc};

use super::{Currency, Money, Quantity, Sku, id::OrderId, order_status::OrderStatus};
use crate::{Version, Versioned};

/// One product of an order.
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
    /// Units that came back after they were paid: 0 to `quantity`.
    pub returned: i64,
}

impl OrderLine {
    /// A line.
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

/// An order as it stood when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Order {
    /// Its id.
    pub id: OrderId,
    /// Who ordered, as the host named them.
    pub customer: Option<String>,
    /// Where it stands.
    pub status: OrderStatus,
    /// One line per product, sorted by SKU.
    pub lines: Vec<OrderLine>,
    /// Sum of quantity times price over the lines.
    pub total: Money,
    /// Grows with every change of the order.
    pub version: Version,
    /// Why it was cancelled, if it is.
    pub reason: Option<String>,
    /// When its checkout was accepted.
    pub created_at: DateTime<Utc>,
    /// Whether this call changed nothing, as an earlier one with the same meaning had been there.
    pub replayed: bool,
}

impl Order {
    /// An order that awaits payment, for implementations of [`Inventory`](crate::inventory::Inventory) and for
    /// tests. `None` when the lines are in several currencies or their total is too large.
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

/// Which orders are asked for.
///
/// ```
/// use optilock::inventory::{OrderFilter, OrderStatus};
///
/// let open = OrderFilter::all()
///     .with_customer("ana@example.org")
///     .with_status(OrderStatus::PendingPayment)
///     .with_status(OrderStatus::PaymentFailed);
/// # let _ = open;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct OrderFilter {
    pub(crate) customer: Option<String>,
    pub(crate) statuses: Vec<OrderStatus>,
}

impl OrderFilter {
    /// Every order; [void](OrderStatus::Void) ones only if they are named.
    pub const fn all() -> Self {
        Self {
            customer: None,
            statuses: Vec::new(),
        }
    }

    /// Only this customer's.
    pub fn with_customer(mut self, customer: impl Into<String>) -> Self {
        self.customer = Some(customer.into());
        self
    }

    /// Only those that stand here, or where an earlier call of this said.
    pub fn with_status(mut self, status: OrderStatus) -> Self {
        self.statuses.push(status);
        self
    }

    /// Whether this order is asked for.
    #[must_use]
    pub fn matches(&self, order: &Order) -> bool {
        let customer = self.customer.as_deref();
        (customer.is_none() || customer == order.customer.as_deref())
            && match &*self.statuses {
                [] => order.status != OrderStatus::Void,
                statuses => statuses.contains(&order.status),
            }
    }
}
