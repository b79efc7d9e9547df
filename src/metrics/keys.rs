//! The keys of the metrics of a label, created once.

use std::{iter, sync::OnceLock};

use ::metrics::{Key, Label};

use super::names::{ATTEMPTS, CONFLICTS, UNKNOWN_OUTCOMES};

/// The keys of one label. Not handles: a handle that was created before the host installs its recorder would
/// stay a no-op, and a handle of the global recorder would bypass that of the thread.
#[derive(Debug)]
pub(super) struct Keys {
    label: &'static str,
    pub(super) attempts: Key,
    pub(super) absorbed: Key,
    pub(super) escaped: Key,
    pub(super) unknown: Key,
}

impl Keys {
    #[cold]
    fn new(label: &'static str) -> Self {
        let entity = || Label::from_static_parts("entity", label);
        let outcome = |outcome| vec![entity(), Label::from_static_parts("outcome", outcome)];
        // Retained: recorders clone keys, which then does not allocate.
        let key = |name, labels: Vec<_>| Key::from_parts(name, labels).to_retained();
        Self {
            label,
            attempts: key(ATTEMPTS, vec![entity()]),
            absorbed: key(CONFLICTS, outcome("absorbed")),
            escaped: key(CONFLICTS, outcome("escaped")),
            unknown: key(UNKNOWN_OUTCOMES, vec![entity()]),
        }
    }
}

/// Lends the keys of `label`.
#[inline]
pub(super) fn with_keys(label: &'static str, lend: impl FnOnce(&Keys)) {
    match TABLE.keys(label) {
        Some(keys) => lend(keys),
        None => lend(&Keys::new(label)),
    }
}

/// Labels are constants of the program: some dozens.
static TABLE: Table<256> = Table::new();

/// The number of places that a label may have. With more, a full table would be slow.
const PLACES: usize = 8;

/// Insert-only, so that a lookup takes no lock: entries are neither moved nor dropped.
struct Table<const N: usize>([OnceLock<&'static Keys>; N]);

impl<const N: usize> Table<N> {
    const fn new() -> Self {
        Self([const { OnceLock::new() }; N])
    }

    /// Returns `None` if all places of this label are taken by others.
    #[inline]
    fn keys(&self, label: &'static str) -> Option<&'static Keys> {
        let first = self.place(label);
        match self.0[first].get() {
            Some(keys) if std::ptr::eq(keys.label, label) => Some(keys),
            _ => self.search(first, label),
        }
    }

    #[cold]
    fn search(&self, first: usize, label: &'static str) -> Option<&'static Keys> {
        let places = iter::successors(Some(first), |place| Some((place + 1) % N));
        places.take(PLACES.min(N)).find_map(|place| {
            let keys = *self.0[place].get_or_init(|| Box::leak(Box::new(Keys::new(label))));
            (keys.label == label).then_some(keys)
        })
    }

    /// Returns the place by the label's address, so that a lookup does not read its text. The same text at
    /// another address may get keys of its own, which are equal.
    #[inline]
    fn place(&self, label: &'static str) -> usize {
        const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
        let address = label.as_ptr().addr() as u64;
        let mixed = address
            .wrapping_add(label.len() as u64)
            .wrapping_mul(GOLDEN);
        (mixed >> 32) as usize % N
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaked(text: &str) -> &'static str {
        text.to_owned().leak()
    }

    #[test]
    fn a_label_has_one_entry() {
        static TABLE: Table<64> = Table::new();
        let label = leaked("checkout");
        let keys = TABLE.keys(label).unwrap();
        assert!(std::ptr::eq(keys, TABLE.keys(label).unwrap()));
        assert_eq!(
            keys.attempts,
            Key::from_parts(ATTEMPTS, &[("entity", "checkout")])
        );
        assert_eq!(
            keys.escaped,
            Key::from_parts(CONFLICTS, &[("entity", "checkout"), ("outcome", "escaped")])
        );
        // A prefix is another label at the same address.
        assert_eq!(TABLE.keys(&label[..5]).unwrap().label, "check");
        assert_eq!(
            TABLE.keys(leaked("checkout")).unwrap().attempts,
            keys.attempts
        );
    }

    #[test]
    fn a_full_table_creates_the_keys_each_time() {
        static TABLE: Table<2> = Table::new();
        let labels = [leaked("one"), leaked("two"), leaked("three")];
        assert!(TABLE.keys(labels[0]).is_some());
        assert!(TABLE.keys(labels[1]).is_some());
        assert!(TABLE.keys(labels[2]).is_none());
        assert_eq!(TABLE.keys(labels[0]).unwrap().label, "one");
    }

    #[test]
    fn concurrent_threads_get_the_same_entry() {
        static TABLE: Table<8> = Table::new();
        let labels = ["a", "b", "c", "d"].map(leaked);
        std::thread::scope(|scope| {
            let seen: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| labels.map(|label| TABLE.keys(label).unwrap())))
                .collect();
            for seen in seen.into_iter().map(|thread| thread.join().unwrap()) {
                for (keys, label) in seen.into_iter().zip(labels) {
                    assert!(std::ptr::eq(keys, TABLE.keys(label).unwrap()), "{label}");
                }
            }
        });
    }
}
