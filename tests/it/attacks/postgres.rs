//! Attacks on the operations of rows and transactions.

mod broken;
mod harness;
pub mod operations;
mod surroundings;

use std::time::Duration;

use optilock::RetryPolicy;

use super::{Cell, matrix};
use harness::{Answer, Harness};
use operations::{Effect, Operation};
pub use surroundings::GROUPS;

pub const FLOOR: &str = "rows and transactions";

/// Gives up early, so that a cell ends soon.
const POLICY: RetryPolicy = RetryPolicy::new()
    .with_max_attempts(4)
    .with_base_delay(Duration::from_millis(1));

/// The longest time that an operation may take in any surrounding: the retry's deadline and a round trip, on two
/// cores.
const LIMIT: Duration = Duration::from_secs(15);
