//! The requests that a queue has admitted, by what they wait for.

use std::collections::BTreeMap;

use super::event::{BatchId, Ticket};
use crate::inventory::batch::job::Keys;

/// Requests in the order of arrival.
pub(super) type InOrder<T> = BTreeMap<Ticket, T>;

/// A request that waits for a batch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Waiting {
    pub(super) keys: Keys,
    pub(super) weight: usize,
    /// The number of batches that did not get locks of these keys while it was queued.
    pub(super) blocked: u32,
}

/// A request that waits for a direct slot.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Bypassing {
    pub(super) keys: Keys,
    pub(super) in_doubt: bool,
}

/// A request that its caller makes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Direct {
    pub(super) ticket: Ticket,
    pub(super) keys: Keys,
    /// A batch could not decide it.
    pub(super) bypasses: bool,
}

/// A request of a running batch.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sent {
    pub(super) ticket: Ticket,
    pub(super) waiting: Waiting,
    /// Its caller is gone.
    pub(super) left: bool,
}

/// A batch that is being written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Running {
    pub(super) batch: BatchId,
    pub(super) requests: Vec<Sent>,
    /// The keys of all its requests, in ascending order.
    pub(super) keys: Vec<u64>,
    /// Another batch may start beside it.
    pub(super) slow: bool,
    /// It has keys of which an earlier batch did not get the locks.
    pub(super) suspect: bool,
    /// Later requests may not have waited for all of its time.
    pub(super) last_admitted: Ticket,
    /// Queued requests that cannot start before it has ended.
    pub(super) parked: InOrder<Waiting>,
}

impl Running {
    pub(super) fn contends(&self, keys: &Keys) -> bool {
        share_a_key(keys.as_slice(), &self.keys)
    }
}

/// Both in ascending order; the search is faster if `few` is the shorter one.
pub(super) fn share_a_key(few: &[u64], many: &[u64]) -> bool {
    few.iter().any(|key| many.binary_search(key).is_ok())
}
