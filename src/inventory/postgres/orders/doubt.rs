//! The state that the attempts of one change of an order share.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{Version, inventory::model::Order};

/// The version at which a change of an order may have been made. Every attempt is guarded by the version that
/// it read, so if the order has passed that version, the attempt has taken effect or never will.
#[derive(Debug, Default)]
pub(crate) struct Doubt(Mutex<Sent>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Sent {
    /// By an earlier attempt, whose outcome is unknown.
    earlier: Option<Version>,
    /// By the current attempt.
    now: Option<Version>,
}

#[cfg(test)]
impl From<Sent> for Doubt {
    fn from(sent: Sent) -> Self {
        Self(Mutex::new(sent))
    }
}

impl Doubt {
    pub(super) fn sent(&self) -> MutexGuard<'_, Sent> {
        // Nothing that panics is done under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the version at which an earlier attempt may have taken effect, or may still.
    pub(crate) fn earlier(&self) -> Option<Version> {
        self.sent().earlier
    }

    /// Records that an attempt begins.
    pub(crate) fn begin(&self) {
        self.sent().now = None;
    }

    /// Records that the statement is sent next, guarded by this version.
    pub(crate) fn send(&self, version: Version) {
        self.sent().now = Some(version);
    }

    /// Records that the earlier attempts have not taken effect, and never will.
    pub(crate) fn settle(&self) {
        self.sent().earlier = None;
    }

    /// Settles the doubt if another request made the order's next version, as `is_made` indicates.
    pub(crate) fn look(&self, order: &Order, is_made: bool) {
        let mut sent = self.sent();
        let is_next = |earlier: Version| earlier.next() == Some(order.version);
        if !is_made && sent.earlier.is_some_and(is_next) {
            sent.earlier = None;
        }
    }

    /// Records that the outcome of the attempt is unknown.
    pub(crate) fn lose(&self) {
        let mut sent = self.sent();
        sent.earlier = sent.now.or(sent.earlier);
    }
}
