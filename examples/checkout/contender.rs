//! Who takes part.

use std::fmt;

use clap::ValueEnum;
use optilock::inventory::Strategy;
use serde::Serialize;

/// A way to sell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum Contender {
    /// Read, check, write: three statements, as it is first written. Race only
    Naive,
    /// SELECT .. FOR UPDATE in a transaction, as one writes it by hand
    ForUpdateByHand,
    /// Optilock: read, compare-and-set on the version, retry
    Optimistic,
    /// Optilock: lock, look, write
    Pessimistic,
    /// Optilock: one statement that takes the stock if it is there
    Guarded,
    /// Optilock: the checkouts that wait anyway, in one statement
    BatchedInventory,
    /// Optilock without a database, where none can be had.
    #[value(skip)]
    Memory,
}

impl Contender {
    /// All that run on PostgreSQL, in the order in which they are shown.
    pub(crate) const ON_POSTGRES: [Self; 6] = [
        Self::Naive,
        Self::ForUpdateByHand,
        Self::Optimistic,
        Self::Pessimistic,
        Self::Guarded,
        Self::BatchedInventory,
    ];

    /// The strategy of the library that it is, if it is one.
    pub(crate) const fn strategy(self) -> Option<Strategy> {
        match self {
            Self::Optimistic => Some(Strategy::Optimistic),
            Self::Pessimistic => Some(Strategy::Pessimistic),
            Self::Guarded | Self::BatchedInventory => Some(Strategy::Guarded),
            Self::Naive | Self::ForUpdateByHand | Self::Memory => None,
        }
    }
}

/// For people; `--json` and `--strategy` have `for_update_by_hand`.
impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Naive => "naive",
            Self::ForUpdateByHand => "for update (by hand)",
            Self::Optimistic => "optimistic",
            Self::Pessimistic => "pessimistic",
            Self::Guarded => "guarded",
            Self::BatchedInventory => "combined",
            Self::Memory => "memory",
        })
    }
}
