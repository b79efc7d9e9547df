use std::time::Duration;

use super::latency::Latency;

/// Counts of the checkouts in a window.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rates {
    /// The length of the window that the counts cover.
    pub(crate) covers: Duration,
    /// Checkouts that ended, successful or not.
    pub(crate) checkouts: u64,
    pub(crate) attempts: u64,
    /// Checkouts whose answer was a conflict.
    pub(crate) conflicts: u64,
    pub(crate) latency: Latency,
}
