//! Counts of changes, to recognise answers that are older than a change.

use std::{
    hash::{BuildHasher, RandomState},
    sync::atomic::{AtomicU64, Ordering::SeqCst},
};

use crate::inventory::model::Sku;

/// Counts changes, so that an answer during which something changed is recognised as stale. Products with the
/// same hash share a count: a change of one of them makes the answers for all of them stale.
#[derive(Debug)]
pub(super) struct Epochs {
    hasher: RandomState,
    all: AtomicU64,
    some: [AtomicU64; Self::SLOTS],
}

impl Default for Epochs {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            all: AtomicU64::new(0),
            some: [const { AtomicU64::new(0) }; Self::SLOTS],
        }
    }
}

impl Epochs {
    const SLOTS: usize = 1_024;

    pub(super) fn of(&self, sku: &Sku) -> u64 {
        self.all.load(SeqCst) + self.slot(sku).load(SeqCst)
    }

    pub(super) fn bump(&self, sku: &Sku) {
        self.slot(sku).fetch_add(1, SeqCst);
    }

    pub(super) fn bump_all(&self) {
        self.all.fetch_add(1, SeqCst);
    }

    fn slot(&self, sku: &Sku) -> &AtomicU64 {
        let slot = self.hasher.hash_one(sku) % Self::SLOTS as u64;
        // Less than SLOTS, so it fits in a usize.
        &self.some[usize::try_from(slot).unwrap_or(0)]
    }
}

/// The products that a call may change.
#[derive(Debug)]
pub(super) enum Changed {
    Nothing,
    Products(Vec<Sku>),
    Anything,
}

impl Changed {
    pub(super) fn skus<'a>(skus: impl IntoIterator<Item = &'a Sku>) -> Self {
        Self::Products(skus.into_iter().cloned().collect())
    }
}

/// Counts a change when it is dropped, also if the call was dropped midway.
pub(super) struct Changing<'a> {
    pub(super) epochs: &'a Epochs,
    pub(super) what: Changed,
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        match &self.what {
            Changed::Nothing => {}
            Changed::Products(skus) => skus.iter().for_each(|sku| self.epochs.bump(sku)),
            Changed::Anything => self.epochs.bump_all(),
        }
    }
}
