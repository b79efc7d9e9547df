//! The rows with recent conflicts.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// The rows with recent conflicts, by the hashes of their ids.
///
/// Without it, each new writer of a contended row would meet two conflicts before it locks; with 32 writers
/// that costs half of the throughput. Ids with the same hash share a slot. A row may then be locked without
/// need, which costs two round trips and is correct.
#[derive(Debug)]
pub(super) struct HotRows {
    hasher: RandomState,
    start: Instant,
    /// Milliseconds since `start` until which a row is hot.
    until: [AtomicU64; Self::SLOTS],
}

impl HotRows {
    const SLOTS: usize = 256;
    /// Long compared with the few milliseconds in which all writers of a row meet conflicts, and short for a
    /// row that is no longer contended.
    const LASTS: Duration = Duration::from_secs(1);

    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            start: Instant::now(),
            until: [const { AtomicU64::new(0) }; Self::SLOTS],
        }
    }

    /// Marks a row as hot after an attempt had to lock it.
    pub(super) fn mark(&self, id: &impl Hash) {
        self.mark_at(id, self.start.elapsed());
    }

    pub(super) fn contains(&self, id: &impl Hash) -> bool {
        self.contains_at(id, self.start.elapsed())
    }

    fn mark_at(&self, id: &impl Hash, now: Duration) {
        let until = now.saturating_add(Self::LASTS).as_millis();
        let until = u64::try_from(until).unwrap_or(u64::MAX);
        self.slot(id).store(until, Relaxed);
    }

    fn contains_at(&self, id: &impl Hash, now: Duration) -> bool {
        u128::from(self.slot(id).load(Relaxed)) > now.as_millis()
    }

    fn slot(&self, id: &impl Hash) -> &AtomicU64 {
        let hash = self.hasher.hash_one(id);
        let slots = Self::SLOTS as u64;
        // Less than SLOTS, so it fits whatever a usize is.
        &self.until[usize::try_from(hash % slots).unwrap_or(0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_hot_for_a_second() {
        let (hot, at) = (HotRows::new(), Duration::from_millis);
        assert!(!hot.contains_at(&7, at(0)));
        hot.mark_at(&7, at(500));
        assert!(hot.contains_at(&7, at(500)));
        assert!(hot.contains_at(&7, at(1_499)));
        assert!(!hot.contains_at(&7, at(1_500)));
        hot.mark_at(&7, at(2_000));
        assert!(hot.contains_at(&7, at(2_001)));
    }

    #[test]
    fn another_row_stays_cold() {
        let hot_rows = HotRows::new();
        hot_rows.mark(&7);
        let hot = (0..1_000).filter(|id| hot_rows.contains(id)).count();
        assert!((1..50).contains(&hot), "{hot} of 1,000 share a slot");
    }
}
