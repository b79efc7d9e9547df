//! What an archive takes over, and how far the ledgers are closed.

mod position;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Movement, Order, OrderId, Quantity, Reservation, ReservationId, Sku};
use crate::Version;

pub use position::ArchivePosition;
pub(crate) use position::Place;

/// The rows that one call of [`PgInventory::archive`](crate::inventory::PgInventory::archive) removed, and where the
/// next one begins.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Archived {
    /// Orders with their lines, sorted by id.
    pub orders: Vec<Order>,
    /// The returns of these orders, sorted by order and id.
    pub returns: Vec<ArchivedReturn>,
    /// Reservations with their holds, sorted by id.
    pub reservations: Vec<Reservation>,
    /// Movements, sorted by SKU and version.
    pub movements: Vec<Movement>,
    /// The ledgers that were looked at, sorted by SKU. A long ledger is closed by several calls.
    pub ledgers: Vec<ArchivedLedger>,
    /// The position of the next call; `None` when everything was looked at.
    pub next: Option<ArchivePosition>,
}

impl Archived {
    pub(crate) const fn new() -> Self {
        Self {
            orders: Vec::new(),
            returns: Vec::new(),
            reservations: Vec::new(),
            movements: Vec::new(),
            ledgers: Vec::new(),
            next: None,
        }
    }
}

/// A return, as it was stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ArchivedReturn {
    /// The id of the return.
    #[cfg_attr(feature = "serde", serde(serialize_with = "super::serde::as_text"))]
    pub id: Uuid,
    /// The order.
    pub order: OrderId,
    /// The units, sorted by SKU.
    pub lines: Vec<(Sku, Quantity)>,
    /// The reason that the request gave.
    pub reason: String,
    /// The time of the return.
    pub created_at: DateTime<Utc>,
}

/// How far the ledger of a product is closed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct ArchivedLedger {
    /// The product.
    pub sku: Sku,
    /// The version of its opening balance, which stands for this version and all before it; `None` if its ledger is not
    /// closed at all.
    pub through: Option<Version>,
    /// What holds the movements after that; `None` if the next call closes more of them, or if there are none.
    pub held_by: Option<HeldBy>,
}

/// What holds a movement, and with it those that follow in the ledger of its product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum HeldBy {
    /// It is not before the time, or not older than an hour.
    Date,
    /// Its order stays: it has not ended, a later movement belongs to it, it has an idempotency key or an entry in the
    /// outbox, its lines differ from the ledger, or it was locked.
    Order(OrderId),
    /// Its reservation stays: something of it is held or was until the date, or it was locked.
    Reservation(ReservationId),
    /// It does not follow from the movement before it: [`audit`](crate::inventory::Inventory::audit) finds a
    /// discrepancy.
    Discrepancy,
}
