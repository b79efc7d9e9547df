use std::time::Duration;

use crate::{StopReason, inventory::model::Money};

/// The prices of an [`ErrorKind::PriceChanged`](super::ErrorKind::PriceChanged).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PriceChange {
    /// The price that the caller expected.
    pub expected: Money,
    /// The price now.
    pub actual: Money,
}

impl PriceChange {
    pub(super) const fn new(expected: Money, actual: Money) -> Self {
        Self { expected, actual }
    }
}

/// The retries before an error that was returned because every attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exhausted {
    /// How many attempts were made.
    pub attempts: u32,
    /// Time since the start of the first attempt.
    pub elapsed: Duration,
    /// Which bound of the policy ended the retries.
    pub reason: StopReason,
}

impl Exhausted {
    pub(super) const fn new(attempts: u32, elapsed: Duration, reason: StopReason) -> Self {
        Self {
            attempts,
            elapsed,
            reason,
        }
    }
}
