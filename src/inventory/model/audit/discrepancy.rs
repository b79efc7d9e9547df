use std::fmt;

/// Two numbers that should be equal, and are not.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Discrepancy {
    /// The rule that is violated.
    pub kind: DiscrepancyKind,
    /// The subject: `pot`, `pot version 7`, or the id of an order or reservation and a product.
    pub subject: String,
    /// The number that the other source implies.
    pub expected: i64,
    /// The number that is stored.
    pub found: i64,
}

impl Discrepancy {
    /// Creates a discrepancy.
    #[must_use]
    pub fn new(
        kind: DiscrepancyKind,
        subject: impl Into<String>,
        expected: i64,
        found: i64,
    ) -> Self {
        Self {
            kind,
            subject: subject.into(),
            expected,
            found,
        }
    }
}

impl fmt::Display for Discrepancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            subject,
            expected,
            found,
        } = self;
        write!(f, "{kind}: {subject}: expected {expected}, found {found}")
    }
}

/// The rules that an audit checks, named for what they compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
#[repr(i16)]
pub enum DiscrepancyKind {
    /// A stock differs from the sum of its ledger's deltas.
    Stock = 1,
    /// A product's version differs from the number of its movements, or these are not numbered from 1 without a
    /// gap.
    Versions = 2,
    /// A movement's `stock_after` differs from that of the movement before it plus its own delta.
    RunningStock = 3,
    /// The units that a product counts as reserved differ from those of its live holds.
    Reserved = 4,
    /// More units are reserved than are in stock, or a negative number.
    Bounds = 5,
    /// The ledger took another quantity for an order's line than the order accounts for: the whole quantity, or
    /// nothing when it is cancelled.
    Sold = 6,
    /// The ledger took another quantity of a line back than the line states.
    Returned = 7,
    /// An order's total differs from that of its lines.
    Total = 8,
    /// An order has no lines, or a void order has some, or lines have no order.
    Lines = 9,
    /// A reservation has no holds, or holds have no reservation.
    Holds = 10,
    /// A hold with no units left is not consumed, or a consumed hold has units left.
    HoldState = 11,
    /// The remaining units of a reservation differ from those of its live and expired holds.
    Remaining = 12,
}

impl DiscrepancyKind {
    /// All kinds.
    pub const ALL: [Self; 12] = [
        Self::Stock,
        Self::Versions,
        Self::RunningStock,
        Self::Reserved,
        Self::Bounds,
        Self::Sold,
        Self::Returned,
        Self::Total,
        Self::Lines,
        Self::Holds,
        Self::HoldState,
        Self::Remaining,
    ];

    /// Returns a stable name in kebab case.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stock => "stock",
            Self::Versions => "versions",
            Self::RunningStock => "running-stock",
            Self::Reserved => "reserved",
            Self::Bounds => "bounds",
            Self::Sold => "sold",
            Self::Returned => "returned",
            Self::Total => "total",
            Self::Lines => "lines",
            Self::Holds => "holds",
            Self::HoldState => "hold-state",
            Self::Remaining => "remaining",
        }
    }

    pub(crate) fn of_code(code: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as i16 == code)
    }
}

impl fmt::Display for DiscrepancyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
