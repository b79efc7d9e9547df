//! Helpers of all floors' tests.

pub mod bank;
pub mod connect;
pub mod db;
pub mod goods;
pub mod idle_hook;
pub mod notes;
pub mod pgbouncer;
pub mod polling;
pub mod proxy;
pub mod race;
pub mod responses;
pub mod stored;
pub mod strategies;
pub mod triggers;

use std::time::Duration;

/// Longer than any batch takes.
pub const SHUTDOWN: Duration = Duration::from_secs(20);
