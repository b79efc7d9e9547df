use std::fmt;

use chrono::{DateTime, Utc};

use super::{OrderId, ReservationId, Sku};
use crate::Version;

/// One change of one product: a row of its ledger.
///
/// A product's movements are numbered by its versions, from 1 without a gap; each `stock_after` is the
/// sum of the deltas so far.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Movement {
    /// The product.
    pub sku: Sku,
    /// The version that it had afterwards.
    pub version: Version,
    /// What happened.
    pub kind: MovementKind,
    /// Units that came (or went, when negative); 0 for a change that is not of the stock.
    pub delta: i64,
    /// Units on hand afterwards.
    pub stock_after: i64,
    /// The order that it belongs to.
    pub order: Option<OrderId>,
    /// The reservation that it belongs to.
    pub reservation: Option<ReservationId>,
    /// Why, as whoever did it said.
    pub reason: Option<String>,
    /// When.
    pub moved_at: DateTime<Utc>,
}

impl Movement {
    /// A movement at the beginning of Unix's time and without an order, for implementations of
    /// [`Inventory`](super::Inventory) and for tests.
    #[must_use]
    pub const fn new(
        sku: Sku,
        version: Version,
        kind: MovementKind,
        delta: i64,
        stock_after: i64,
    ) -> Self {
        Self {
            sku,
            version,
            kind,
            delta,
            stock_after,
            order: None,
            reservation: None,
            reason: None,
            moved_at: DateTime::UNIX_EPOCH,
        }
    }
}

/// What changed a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
#[repr(i16)]
pub enum MovementKind {
    /// An order took units.
    Sale = 1,
    /// A cancelled order gave its units back.
    GivenBack = 2,
    /// A relative change: delivery, breakage.
    Adjustment = 3,
    /// A reservation holds units.
    Reserved = 4,
    /// Reservations ran out.
    Lapsed = 5,
    /// The shelf was counted.
    Count = 6,
    /// Name or price changed.
    Edit = 7,
    /// It was added, or taken up again.
    Added = 8,
    /// It is no longer sold.
    Retired = 9,
    /// A reservation was released.
    Released = 10,
    /// Units of a paid order came back.
    Returned = 11,
    /// A cancelled order took its units again.
    Revived = 12,
}

impl MovementKind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Sale,
        Self::GivenBack,
        Self::Adjustment,
        Self::Reserved,
        Self::Lapsed,
        Self::Count,
        Self::Edit,
        Self::Added,
        Self::Retired,
        Self::Released,
        Self::Returned,
        Self::Revived,
    ];

    /// Stable, in kebab case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sale => "sale",
            Self::GivenBack => "given-back",
            Self::Adjustment => "adjustment",
            Self::Reserved => "reserved",
            Self::Lapsed => "lapsed",
            Self::Count => "count",
            Self::Edit => "edit",
            Self::Added => "added",
            Self::Retired => "retired",
            Self::Released => "released",
            Self::Returned => "returned",
            Self::Revived => "revived",
        }
    }

    /// The number under which the ledger keeps it.
    pub(crate) const fn code(self) -> i16 {
        self as i16
    }

    pub(crate) fn of_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }
}

impl fmt::Display for MovementKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
