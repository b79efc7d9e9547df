use std::fmt;

use chrono::{DateTime, Utc};

use super::{OrderId, ReservationId, Sku};
use crate::Version;

/// One change of one product: a row of its ledger.
///
/// A product's movements are numbered by its versions, without a gap from 1 or, if earlier ones were
/// removed, from an [opening balance](MovementKind::Opening). Each `stock_after` is that of the
/// movement before it plus the delta. Within a product, `moved_at` never decreases.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Movement {
    /// The product.
    pub sku: Sku,
    /// The product's version afterwards.
    pub version: Version,
    /// The kind of change.
    pub kind: MovementKind,
    /// Units added, or removed when negative; 0 for a change that does not concern the stock.
    pub delta: i64,
    /// Units on hand afterwards.
    pub stock_after: i64,
    /// The order that caused it.
    pub order: Option<OrderId>,
    /// The reservation that caused it.
    pub reservation: Option<ReservationId>,
    /// The reason that the request gave.
    pub reason: Option<String>,
    /// The time of the change.
    pub moved_at: DateTime<Utc>,
}

impl Movement {
    /// Creates a movement at the Unix epoch and without an order, for implementations of
    /// [`Inventory`](crate::inventory::Inventory) and for tests.
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

/// The kind of change that a movement records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum MovementKind {
    /// An order took units.
    Sale,
    /// A cancelled order gave its units back.
    GivenBack,
    /// An adjustment: delivery, breakage.
    Adjustment,
    /// A reservation took units.
    Reserved,
    /// Holds of reservations expired.
    Expired,
    /// The stock was counted.
    Count,
    /// The name or the price changed.
    Edit,
    /// The product was added, for the first time or after it was retired.
    Added,
    /// The product was retired.
    Retired,
    /// A reservation was released.
    Released,
    /// Units of a paid order were returned.
    Returned,
    /// A cancelled order took its units again.
    Revived,
    /// The sale was paused.
    Paused,
    /// The sale was resumed.
    Resumed,
    /// The opening balance of a ledger whose earlier movements were removed: it stands for all versions up to its
    /// own.
    Opening,
    /// A kind that a newer version of the crate wrote, by its number.
    Other(i16),
}

impl MovementKind {
    /// All kinds that this version writes.
    pub const ALL: [Self; 15] = [
        Self::Sale,
        Self::GivenBack,
        Self::Adjustment,
        Self::Reserved,
        Self::Expired,
        Self::Count,
        Self::Edit,
        Self::Added,
        Self::Retired,
        Self::Released,
        Self::Returned,
        Self::Revived,
        Self::Paused,
        Self::Resumed,
        Self::Opening,
    ];

    /// Returns a stable name in kebab case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sale => "sale",
            Self::GivenBack => "given-back",
            Self::Adjustment => "adjustment",
            Self::Reserved => "reserved",
            Self::Expired => "expired",
            Self::Count => "count",
            Self::Edit => "edit",
            Self::Added => "added",
            Self::Retired => "retired",
            Self::Released => "released",
            Self::Returned => "returned",
            Self::Revived => "revived",
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::Opening => "opening",
            Self::Other(_) => "other",
        }
    }

    /// Returns the number that the ledger stores.
    pub(crate) const fn code(self) -> i16 {
        match self {
            Self::Sale => 1,
            Self::GivenBack => 2,
            Self::Adjustment => 3,
            Self::Reserved => 4,
            Self::Expired => 5,
            Self::Count => 6,
            Self::Edit => 7,
            Self::Added => 8,
            Self::Retired => 9,
            Self::Released => 10,
            Self::Returned => 11,
            Self::Revived => 12,
            Self::Paused => 13,
            Self::Resumed => 14,
            Self::Opening => 15,
            Self::Other(code) => code,
        }
    }

    pub(crate) fn of_code(code: i16) -> Self {
        let mut known = Self::ALL.into_iter();
        known
            .find(|kind| kind.code() == code)
            .unwrap_or(Self::Other(code))
    }
}

impl fmt::Display for MovementKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
