use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// Counts of the calls of one [`PgInventory`](crate::inventory::PgInventory) and its clones since it was
/// created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Stats {
    /// Calls that ended, successful or not.
    pub calls: u64,
    /// Attempts of all calls.
    pub attempts: u64,
    /// The most attempts of one call.
    pub attempts_max: u32,
    /// Attempts that lost a race, whether another attempt followed or not.
    pub conflicts: u64,
    /// Calls that gave up on a race: conflicts that the caller received. A conflict with a version that the
    /// caller expected is an answer and does not count.
    pub escaped: u64,
}

impl Stats {
    /// Returns the attempts per call; 0 without calls.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "a mean for people; counts stay far below 2^52"
    )]
    pub fn attempts_mean(&self) -> f64 {
        if self.calls == 0 {
            0.0
        } else {
            self.attempts as f64 / self.calls as f64
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    calls: AtomicU64,
    attempts: AtomicU64,
    attempts_max: AtomicU32,
    conflicts: AtomicU64,
    escaped: AtomicU64,
}

impl Counters {
    pub(crate) fn succeeded(&self, attempts: u32, conflicts: u64) {
        self.calls.fetch_add(1, Relaxed);
        self.attempts.fetch_add(attempts.into(), Relaxed);
        self.attempts_max.fetch_max(attempts, Relaxed);
        if conflicts > 0 {
            self.conflicts.fetch_add(conflicts, Relaxed);
        }
    }

    pub(crate) fn failed(&self, attempts: u32, conflicts: u64, lost: bool) {
        self.succeeded(attempts, conflicts);
        if lost {
            self.escaped.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn read(&self) -> Stats {
        Stats {
            calls: self.calls.load(Relaxed),
            attempts: self.attempts.load(Relaxed),
            attempts_max: self.attempts_max.load(Relaxed),
            conflicts: self.conflicts.load(Relaxed),
            escaped: self.escaped.load(Relaxed),
        }
    }
}
