use std::{
    hash::{BuildHasher, Hash, RandomState},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// Which rows were fought over lately, by the hashes of their ids.
///
/// On a row that everybody wants, each new caller would lose twice before it locks: work for the
/// database that helps nobody. With 32 writers of one row that is half of the throughput. Two ids
/// with the same hash share their heat, and then a row is locked that need not be: slower by two
/// round trips, and right all the same.
#[derive(Debug)]
pub(super) struct HotRows {
    hasher: RandomState,
    start: Instant,
    /// Milliseconds since `start` until which a row is hot.
    until: [AtomicU64; Self::SLOTS],
}

impl HotRows {
    const SLOTS: usize = 256;
    /// Long beside the few milliseconds in which all writers of a row find out anew, and short for
    /// everybody else.
    const LASTS: Duration = Duration::from_secs(1);

    pub(super) fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            start: Instant::now(),
            until: [const { AtomicU64::new(0) }; Self::SLOTS],
        }
    }

    /// Somebody had to lock this row.
    pub(super) fn raise(&self, id: &impl Hash) {
        self.raise_at(id, self.start.elapsed());
    }

    pub(super) fn is_hot(&self, id: &impl Hash) -> bool {
        self.is_hot_at(id, self.start.elapsed())
    }

    fn raise_at(&self, id: &impl Hash, now: Duration) {
        let until = now.saturating_add(Self::LASTS).as_millis();
        let until = u64::try_from(until).unwrap_or(u64::MAX);
        self.slot(id).store(until, Relaxed);
    }

    fn is_hot_at(&self, id: &impl Hash, now: Duration) -> bool {
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
        let (heat, at) = (HotRows::new(), Duration::from_millis);
        assert!(!heat.is_hot_at(&7, at(0)));
        heat.raise_at(&7, at(500));
        assert!(heat.is_hot_at(&7, at(500)));
        assert!(heat.is_hot_at(&7, at(1_499)));
        assert!(!heat.is_hot_at(&7, at(1_500)));
        heat.raise_at(&7, at(2_000));
        assert!(heat.is_hot_at(&7, at(2_001)));
    }

    #[test]
    fn another_row_stays_cold() {
        let heat = HotRows::new();
        heat.raise(&7);
        let hot = (0..1_000).filter(|id| heat.is_hot(id)).count();
        assert!((1..50).contains(&hot), "{hot} of 1,000 share a slot");
    }
}
