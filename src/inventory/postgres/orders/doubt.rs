//! What the attempts of one change of an order hand on to each other.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{Version, inventory::model::Order};

/// The version at which a change of an order may have been made: every attempt is guarded by the version that
/// was read, so that an order past it shows that the attempt has had its effect, or never will have it.
#[derive(Debug, Default)]
pub(crate) struct Doubt(Mutex<Sent>);

#[derive(Clone, Copy, Debug, Default)]
struct Sent {
    /// By an earlier attempt, whose outcome is unknown.
    earlier: Option<Version>,
    /// By this one.
    now: Option<Version>,
}

impl Doubt {
    fn sent(&self) -> MutexGuard<'_, Sent> {
        // Nothing that panics is done under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The version at which an earlier attempt may have taken effect, or may still.
    pub(crate) fn earlier(&self) -> Option<Version> {
        self.sent().earlier
    }

    /// An attempt begins.
    pub(crate) fn begin(&self) {
        self.sent().now = None;
    }

    /// The statement is sent next, guarded by this version.
    pub(crate) fn send(&self, version: Version) {
        self.sent().now = Some(version);
    }

    /// The earlier attempts have had no effect, and will not have one.
    pub(crate) fn settle(&self) {
        self.sent().earlier = None;
    }

    /// Settles where the order's next version was made by another request, as `is_made` says of it.
    pub(crate) fn look(&self, order: &Order, is_made: bool) {
        let mut sent = self.sent();
        let is_next = |earlier: Version| earlier.next() == Some(order.version);
        if !is_made && sent.earlier.is_some_and(is_next) {
            sent.earlier = None;
        }
    }

    /// The outcome of the attempt is unknown.
    pub(crate) fn lose(&self) {
        let mut sent = self.sent();
        sent.earlier = sent.now.or(sent.earlier);
    }
}
