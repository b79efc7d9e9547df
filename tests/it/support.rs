//! Helpers of all floors' tests.

pub mod bank;
pub mod connect;
pub mod db;
pub mod goods;
pub mod idle_hook;
pub mod notes;
pub mod polling;
pub mod proxy;
pub mod race;
pub mod stored;
pub mod strategies;
pub mod triggers;

/// The limit of a shutdown at the end of a test.
pub const DRAIN: std::time::Duration = std::time::Duration::from_secs(30);
