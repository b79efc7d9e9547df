use std::fmt;

/// What an audit found: every number that is kept twice, compared.
///
/// The ledger says how each stock came about, the orders say what they hold, the reservations what is
/// reserved. In good books all of them agree. What does not was written by other code, or by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Audit {
    /// Where two numbers disagree; at most [`MAX_OF_A_KIND`](Self::MAX_OF_A_KIND) of each kind, sorted by
    /// kind and subject.
    pub discrepancies: Vec<Discrepancy>,
}

impl Audit {
    /// The most of one kind that an audit names, so that no kind hides another.
    pub const MAX_OF_A_KIND: usize = 100;

    /// An audit that found these.
    #[must_use]
    pub const fn new(discrepancies: Vec<Discrepancy>) -> Self {
        Self { discrepancies }
    }

    /// Whether the books balance.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.discrepancies.is_empty()
    }
}

/// `the books balance`, or every discrepancy in a line of its own.
impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return f.write_str("the books balance");
        }
        for (at, discrepancy) in self.discrepancies.iter().enumerate() {
            let line = if at == 0 { "" } else { "\n" };
            write!(f, "{line}{discrepancy}")?;
        }
        Ok(())
    }
}

/// Two numbers that should be the same.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Discrepancy {
    /// Which rule is broken.
    pub kind: DiscrepancyKind,
    /// Of what: `pot`, `pot version 7`, or an order's or reservation's id and a product.
    pub subject: String,
    /// What the other side of the books says.
    pub expected: i64,
    /// What is there.
    pub found: i64,
}

impl Discrepancy {
    /// A discrepancy.
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

/// The rules of the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
#[non_exhaustive]
#[repr(i16)]
pub enum DiscrepancyKind {
    /// A stock is not the sum of its ledger's deltas.
    Stock = 1,
    /// A product has another version than its ledger has movements, or these are not numbered from 1
    /// without a gap.
    Versions = 2,
    /// A movement's `stock_after` is not that of the movement before it plus its own delta.
    RunningStock = 3,
    /// A product counts other units as reserved than its live holds have.
    Reserved = 4,
    /// More is reserved than there is, or less than nothing.
    Bounds = 5,
    /// The ledger has taken another quantity for an order's line than the order stands for: all of it,
    /// or nothing when it is cancelled.
    Sold = 6,
    /// The ledger has taken back another quantity of a line than the line says.
    Returned = 7,
    /// An order's total is not that of its lines.
    Total = 8,
    /// An order has no lines, or a void one has some; or lines have no order.
    Lines = 9,
    /// A reservation has no holds, or holds have no reservation.
    Holds = 10,
    /// A hold with nothing left in it is not consumed, or the other way round.
    HoldState = 11,
    /// What a reservation has left is not what its holds have left, live and expired ones.
    Remaining = 12,
}

impl DiscrepancyKind {
    /// All of them.
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

    /// Stable, in kebab case.
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
