//! Attacks on the operations of an inventory, by each strategy and through each layer.

mod answer;
pub mod balances;
mod broken;
pub mod fixture;
mod harness;
mod layers;
mod lock_holder;
pub mod operations;
pub mod shop;
mod surroundings;

use std::time::Duration;

use optilock::RetryPolicy;

use super::{Cell, matrix};
pub use answer::Answer;
use fixture::Fixture;
use harness::{Harness, Prepared};
use layers::Layer;
use operations::Variant;
use shop::Shop;
pub use surroundings::GROUPS;

pub const FLOOR: &str = "inventory";

/// Gives up early, so that a cell ends soon.
const POLICY: RetryPolicy = RetryPolicy::new()
    .with_max_attempts(5)
    .with_base_delay(Duration::from_millis(1))
    .with_deadline(Some(Duration::from_secs(2)));

/// The longest time that an operation may take in any surrounding: the deadline and a round trip, on two cores.
const LIMIT: Duration = Duration::from_secs(8);
