use std::time::Duration;

#[cfg(doc)]
use crate::inventory::model::ErrorKind;

/// Options of a [`BatchedInventory`](super::BatchedInventory).
///
/// # Default
///
/// Batches of at most 256 requests, a queue of at most 10,000, and 5 seconds for a batch. The limits hold for each
/// queue: one of checkouts, one of payments, and one of cancellations.
///
/// ```
/// use optilock::inventory::BatchOptions;
/// use std::time::Duration;
///
/// const OPTIONS: BatchOptions = BatchOptions::new().with_batch(100).with_time_limit(Duration::from_secs(2));
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct BatchOptions {
    pub(super) batch: usize,
    pub(super) queue: usize,
    pub(super) time_limit: Duration,
    pub(super) always: bool,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchOptions {
    /// The most lines in a batch of several requests.
    pub(super) const MAX_LINES: usize = 2_000;

    /// Creates options with the defaults.
    pub const fn new() -> Self {
        Self {
            batch: 256,
            queue: 10_000,
            time_limit: Duration::from_secs(5),
            always: false,
        }
    }

    /// Sets the most requests in one batch: 1 to 1,000. A value outside of the range counts as its nearest
    /// bound.
    pub const fn with_batch(mut self, requests: usize) -> Self {
        self.batch = match requests {
            0 => 1,
            1_000.. => 1_000,
            requests => requests,
        };
        self
    }

    /// Sets how many requests may be queued. Further ones are refused with [`ErrorKind::Busy`].
    pub const fn with_queue(mut self, requests: usize) -> Self {
        self.queue = requests;
        self
    }

    /// Sets the time limit of a batch: 1 second to 1 hour. A value outside of the range counts as its nearest
    /// bound.
    ///
    /// A batch waits half a second for each lock, so it takes longer only if the connection or the server does
    /// not answer. When the limit is over, its connection is closed, the next batch has another one, and its
    /// requests look up whether they took effect, each on a connection of its own.
    pub const fn with_time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = match limit.as_secs() {
            0 => Duration::from_secs(1),
            3_600.. => Duration::from_secs(3_600),
            _ => limit,
        };
        self
    }

    /// Writes a single request by the statement of batches as well, so that tests can compare its answers.
    #[doc(hidden)]
    pub const fn always(mut self) -> Self {
        self.always = true;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_as_documented() {
        let defaults = BatchOptions::default();
        assert_eq!((defaults.batch, defaults.queue), (256, 10_000));
        assert_eq!(defaults.time_limit, Duration::from_secs(5));
        assert!(!defaults.always);
    }

    #[test]
    fn a_value_outside_of_its_range_counts_as_the_nearest_bound() {
        let batch = |requests| BatchOptions::new().with_batch(requests).batch;
        assert_eq!([0, 7, 5_000].map(batch), [1, 7, 1_000]);
        let limit = |millis| {
            let limit = Duration::from_millis(millis);
            BatchOptions::new()
                .with_time_limit(limit)
                .time_limit
                .as_millis()
        };
        assert_eq!([0, 1_500, 4_000_000].map(limit), [1_000, 1_500, 3_600_000]);
    }
}
