mod bugs;
mod cache;
mod checkout;
mod cleanup;
mod contract;
mod dropped;
mod hook;
mod ledger;
mod migrate;
mod model;
mod operations;
pub mod orders;
mod products;
mod regressions;
pub mod reservations;
mod statements;

/// The path by which other modules import the helpers of checkouts at the same moment.
pub mod scenarios {
    pub use crate::support::race::race;
}

pub use checkout::exactly_once;
pub use orders::life as order_life;
