//! The result of an audit, as a whole or in ranges.

mod discrepancy;
mod position;

use std::fmt;

pub use discrepancy::{Discrepancy, DiscrepancyKind};
pub use position::AuditPosition;
pub(crate) use position::{LedgerPlace, Place};

/// The result of an audit, which compares every number that is stored twice.
///
/// Each stock is compared with its ledger, each order with the units that the ledger took for it, each product
/// with its reservations. In correct data all of them agree; a discrepancy comes from other code, or from
/// changes by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Audit {
    /// The discrepancies: at most [`MAX_OF_A_KIND`](Self::MAX_OF_A_KIND) of each kind, sorted by kind and
    /// subject.
    pub discrepancies: Vec<Discrepancy>,
}

impl Audit {
    /// The most discrepancies of one kind in an audit, so that no kind hides another.
    pub const MAX_OF_A_KIND: usize = 100;

    /// Creates an audit with these discrepancies.
    #[must_use]
    pub const fn new(discrepancies: Vec<Discrepancy>) -> Self {
        Self { discrepancies }
    }

    /// Returns whether there are no discrepancies.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.discrepancies.is_empty()
    }
}

/// Formats as `no discrepancies`, or as one line per discrepancy.
impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_clean() {
            return f.write_str("no discrepancies");
        }
        for (at, discrepancy) in self.discrepancies.iter().enumerate() {
            let line = if at == 0 { "" } else { "\n" };
            write!(f, "{line}{discrepancy}")?;
        }
        Ok(())
    }
}

/// The discrepancies in a range of the tables, and where the next range begins.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct AuditRange {
    /// The discrepancies of the range: at most [`Audit::MAX_OF_A_KIND`] of each kind, sorted by kind and subject.
    pub discrepancies: Vec<Discrepancy>,
    /// The position of the next range; `None` after the last one.
    pub next: Option<AuditPosition>,
}
