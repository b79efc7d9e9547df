//! The methods of selling that the demo compares.

use std::fmt;

use clap::ValueEnum;
use optilock::inventory::Strategy;
use serde::Serialize;

/// A method of selling one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum Method {
    /// Handwritten: read, check, write in three statements without a lock. Race only
    Naive,
    /// Handwritten: SELECT .. FOR UPDATE in a transaction
    ForUpdateByHand,
    /// Optilock: read, compare-and-set on the version, retry
    Optimistic,
    /// Optilock: lock the row, check, write
    Pessimistic,
    /// Optilock: one statement that takes the stock if there is enough
    Guarded,
    /// Optilock: queued checkouts, many in one statement
    Batched,
    /// Optilock without a database. Used if there is no PostgreSQL.
    #[value(skip)]
    Memory,
}

impl Method {
    /// All methods that run on PostgreSQL, in the order of the tables.
    pub(crate) const ON_POSTGRES: [Self; 6] = [
        Self::Naive,
        Self::ForUpdateByHand,
        Self::Optimistic,
        Self::Pessimistic,
        Self::Guarded,
        Self::Batched,
    ];

    /// The strategy that the library uses, for the methods of the library.
    pub(crate) const fn strategy(self) -> Option<Strategy> {
        match self {
            Self::Optimistic => Some(Strategy::Optimistic),
            Self::Pessimistic => Some(Strategy::Pessimistic),
            Self::Guarded | Self::Batched => Some(Strategy::Guarded),
            Self::Naive | Self::ForUpdateByHand | Self::Memory => None,
        }
    }
}

/// The label in tables. `--json` and `--strategy` use `for_update_by_hand`.
impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Naive => "naive",
            Self::ForUpdateByHand => "for update (by hand)",
            Self::Optimistic => "optimistic",
            Self::Pessimistic => "pessimistic",
            Self::Guarded => "guarded",
            Self::Batched => "batched",
            Self::Memory => "memory",
        })
    }
}
