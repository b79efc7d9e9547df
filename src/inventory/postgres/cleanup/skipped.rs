use std::collections::BTreeMap;

/// The most keys that are kept, which take a few megabytes. Others are left for the next clean-up.
const MOST: usize = 100_000;

/// The number of skips after which a key is tried directly.
const DIRECT_AFTER: u32 = 3;

/// The keys that were skipped because they were locked, and how often.
#[derive(Debug)]
pub(crate) struct Skipped<K> {
    times: BTreeMap<K, u32>,
    forgotten: u64,
}

impl<K: Clone + Ord> Skipped<K> {
    pub(crate) const fn new() -> Self {
        Self {
            times: BTreeMap::new(),
            forgotten: 0,
        }
    }

    /// Counts a skip of this key.
    pub(crate) fn add(&mut self, key: K) {
        if let Some(times) = self.times.get_mut(&key) {
            *times += 1;
        } else if self.times.len() < MOST {
            self.times.insert(key, 1);
        } else {
            self.forgotten += 1;
        }
    }

    pub(crate) fn remove(&mut self, key: &K) {
        self.times.remove(key);
    }

    pub(crate) fn contains(&self, key: &K) -> bool {
        self.times.contains_key(key)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Returns the number of all skipped keys, including those that are not kept.
    pub(crate) fn count(&self) -> u64 {
        self.times.len() as u64 + self.forgotten
    }

    pub(crate) fn keys(&self) -> Vec<K> {
        self.times.keys().cloned().collect()
    }

    /// Returns the keys that were skipped often enough to be tried directly.
    pub(crate) fn stubborn(&self) -> Vec<K> {
        self.times
            .iter()
            .filter(|(_, times)| **times >= DIRECT_AFTER)
            .map(|(key, _)| key.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_kept_keys_is_limited() {
        let mut skipped = Skipped::new();
        for key in 0..MOST + 5 {
            skipped.add(key);
        }
        assert_eq!(
            (skipped.keys().len(), skipped.count()),
            (MOST, MOST as u64 + 5)
        );
        assert!(skipped.stubborn().is_empty());
        for _ in 1..DIRECT_AFTER {
            skipped.add(7);
        }
        assert_eq!(skipped.stubborn(), [7]);
        skipped.remove(&7);
        assert!(!skipped.contains(&7) && skipped.contains(&8));
    }
}
