use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Currency, Error, Money, Quantity, Sku};
use crate::{Version, Versioned};

/// An order's id: a UUID, made by the client before its first attempt.
///
/// It is the token by which a checkout takes effect exactly once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderId(Uuid);

impl OrderId {
    /// A new id: UUID version 7 (RFC 9562), so that ids sort by the time they were made.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "a default that differs at every call surprises"
    )]
    pub fn new() -> Self {
        Self(Uuid::now_v7())
    }

    /// The UUID.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for OrderId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid)
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for OrderId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        text.parse()
            .map(Self)
            .map_err(|_| Error::invalid("order id", format!("{text:?} is not a UUID")))
    }
}

/// Where an order stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OrderStatus {
    /// Its stock is taken and its payment is awaited.
    PendingPayment,
    /// A payment failed; another may follow.
    PaymentFailed,
    /// Paid.
    Paid,
    /// Cancelled; its stock was given back.
    Cancelled,
    /// Never an order: its checkout was refused after an attempt whose outcome was unknown, and the
    /// id is kept so that this attempt cannot take effect later.
    Void,
}

impl OrderStatus {
    /// Stable, in kebab case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PendingPayment => "pending-payment",
            Self::PaymentFailed => "payment-failed",
            Self::Paid => "paid",
            Self::Cancelled => "cancelled",
            Self::Void => "void",
        }
    }
}

impl fmt::Display for OrderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One product of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OrderLine {
    /// The product.
    pub sku: Sku,
    /// Units taken.
    pub quantity: Quantity,
    /// Price of one unit at the time of the checkout.
    pub price: Money,
}

impl OrderLine {
    /// A line.
    #[must_use]
    pub const fn new(sku: Sku, quantity: Quantity, price: Money) -> Self {
        Self {
            sku,
            quantity,
            price,
        }
    }
}

/// An order as it stood when it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// When its checkout was accepted.
    pub created_at: DateTime<Utc>,
    /// Whether this answer was stored by an earlier call of the same checkout.
    pub replayed: bool,
}

impl Order {
    /// An order that awaits payment, for implementations of [`Inventory`](super::Inventory) and for
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

/// What a clean-up did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cleanup {
    /// Orders cancelled.
    pub orders: u64,
    /// Units given back, over all products.
    pub units: u64,
}

impl Cleanup {
    /// So many orders and units.
    #[must_use]
    pub const fn new(orders: u64, units: u64) -> Self {
        Self { orders, units }
    }
}
