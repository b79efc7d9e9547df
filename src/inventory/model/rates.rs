use std::time::Duration;

use super::latency::Latency;

/// How the checkouts of a window went.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rates {
    /// How long it really is.
    pub(crate) covers: Duration,
    /// Checkouts that ended, well or not.
    pub(crate) checkouts: u64,
    pub(crate) attempts: u64,
    /// Those whose answer was a conflict.
    pub(crate) conflicts: u64,
    pub(crate) latency: Latency,
}
