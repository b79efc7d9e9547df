pub mod adjustments;
pub mod audit;
pub mod bad_input;
pub mod bugs;
pub mod cached_stock;
pub mod checkout;
pub mod clean_ups;
pub mod contract;
pub mod dropped;
pub mod edges;
pub mod exactly_once;
pub mod expired_holds;
pub mod feed;
mod hook;
mod ledger;
mod migrate;
mod operations;
pub mod orders;
mod products;
pub mod reservations;
mod statements;

/// The path by which other modules import the helpers of checkouts at the same moment.
pub mod scenarios {
    pub use crate::support::race::race;
}

pub use orders::life as order_life;
