use std::time::Duration;

#[cfg(doc)]
use crate::inventory::model::ErrorKind;

/// How long requests bypass the queue after a batch did not get its locks in time.
pub(super) const DIRECT_FOR: Duration = Duration::from_secs(1);

/// Options of a [`BatchedInventory`](super::BatchedInventory).
///
/// # Default
///
/// Batches of at most 256 checkouts, a queue of at most 10,000.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct BatchOptions {
    pub(super) batch: usize,
    pub(super) queue: usize,
    pub(super) always: bool,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchOptions {
    /// The most lines in a batch of several checkouts.
    pub(super) const MAX_LINES: usize = 2_000;

    /// Creates options with the defaults.
    pub const fn new() -> Self {
        Self {
            batch: 256,
            queue: 10_000,
            always: false,
        }
    }

    /// Sets the most checkouts in one batch: 1 to 1,000. A value outside of the range counts as its nearest
    /// bound.
    pub const fn with_batch(mut self, checkouts: usize) -> Self {
        self.batch = match checkouts {
            0 => 1,
            1_000.. => 1_000,
            checkouts => checkouts,
        };
        self
    }

    /// Sets how many checkouts may be queued. Further ones are refused with [`ErrorKind::Busy`].
    pub const fn with_queue(mut self, checkouts: usize) -> Self {
        self.queue = checkouts;
        self
    }

    /// Writes a single checkout by the statement of batches as well, so that tests can compare its answers.
    #[doc(hidden)]
    pub const fn always(mut self) -> Self {
        self.always = true;
        self
    }
}
