//! What an attempt of a batch leaves behind when it fails.

use std::{
    mem,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::inventory::postgres::hook::BatchAnswer;

/// What an attempt of a batch leaves behind when it fails: what it sent, and what the host's hook answered.
#[derive(Debug, Default)]
pub(super) struct Trace(Mutex<Traced>);

#[derive(Debug, Default)]
struct Traced {
    sent: Vec<usize>,
    /// With the indexes of the checkouts that the hook was asked about.
    hook: Option<(BatchAnswer, Vec<usize>)>,
}

impl Trace {
    fn traced(&self) -> MutexGuard<'_, Traced> {
        // Nothing that panics is done under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records that these requests are sent next.
    pub(super) fn send(&self, indexes: Vec<usize>) {
        self.traced().sent = indexes;
    }

    /// Returns the indexes of the requests that were sent.
    pub(super) fn sent(&self) -> Vec<usize> {
        mem::take(&mut self.traced().sent)
    }

    /// Records an answer of the hook because of which the batch is rolled back.
    pub(super) fn refuse(&self, answer: BatchAnswer, asked: Vec<usize>) {
        self.traced().hook = Some((answer, asked));
    }

    /// Returns the answer of the hook because of which the batch was rolled back.
    pub(super) fn hook(&self) -> Option<(BatchAnswer, Vec<usize>)> {
        self.traced().hook.take()
    }
}
