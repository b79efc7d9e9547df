//! The last answer about one product, and the viewer that asks for the next one.

#[cfg(test)]
mod tests;

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, timeout_at},
};

use crate::inventory::model::Error;

/// How long a failure is remembered, and how long a viewer that could be shown an old answer waits for a new
/// one.
pub(super) const MOMENT: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Slot {
    state: Mutex<State>,
    /// Notified when the viewer that asks has its answer or is dropped.
    settled: Notify,
}

#[derive(Debug, Default)]
struct State {
    asking: bool,
    seen: Option<Seen>,
    /// The time of the last failure, if no answer came since.
    failed: Option<Instant>,
}

/// What the inventory answers about a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) available: i64,
    pub(super) paused: bool,
}

/// An answer of the inventory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// `None` if the product is not sold.
    pub(super) left: Option<Left>,
    /// The time at which the inventory was asked.
    pub(super) asked: Instant,
    /// The number of changes at that time.
    epoch: u64,
    answered: Instant,
}

/// The conditions for an answer to one viewer.
#[derive(Clone, Copy, Debug)]
struct Viewer {
    came: Instant,
    /// The number of changes at its arrival; the answer must include them.
    epoch: u64,
    ttl: Duration,
}

enum Look<'a> {
    Answer(Result<Seen, Error>),
    Ask(Asking<'a>),
    /// Another viewer asks. Contains the old answer, if it can be shown.
    Wait(Option<Seen>),
}

impl Slot {
    /// Returns the answer to a viewer. Of concurrent viewers, one polls `ask`. `epoch` returns the number of
    /// changes.
    pub(super) async fn view(
        &self,
        ttl: Duration,
        epoch: impl Fn() -> u64,
        ask: impl Future<Output = Result<Option<Left>, Error>>,
    ) -> Result<Seen, Error> {
        let viewer = Viewer {
            came: Instant::now(),
            epoch: epoch(),
            ttl,
        };
        loop {
            // Created before the look, so that no notification after it is missed.
            let settled = self.settled.notified();
            match self.look(&viewer) {
                Look::Answer(answer) => return answer,
                Look::Ask(asking) => return asking.ask(&viewer, epoch(), ask).await,
                Look::Wait(None) => settled.await,
                Look::Wait(Some(old)) => {
                    if timeout_at(viewer.came + MOMENT, settled).await.is_err() {
                        return Ok(old);
                    }
                }
            }
        }
    }

    fn look(&self, viewer: &Viewer) -> Look<'_> {
        let mut state = self.state();
        let seen = state.seen.filter(|seen| viewer.accepts(seen));
        if let Some(seen) = seen.filter(|seen| viewer.is_fresh(seen)) {
            return Look::Answer(Ok(seen));
        }
        if let Some(failed) = state.failed
            && let Some(rest) = MOMENT.checked_sub(failed.elapsed())
            && !rest.is_zero()
        {
            return Look::Answer(seen.ok_or_else(|| Error::busy(Some(rest))));
        }
        if state.asking {
            return Look::Wait(seen);
        }
        state.asking = true;
        Look::Ask(Asking { slot: self })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Viewer {
    /// Returns whether no change through this cache made the answer stale.
    const fn accepts(&self, seen: &Seen) -> bool {
        seen.epoch >= self.epoch
    }

    /// Returns whether the answer is younger than the `ttl`, or arrived while this viewer waited.
    fn is_fresh(&self, seen: &Seen) -> bool {
        seen.asked.elapsed() < self.ttl || seen.answered >= self.came
    }
}

/// The viewer that asks. When it is dropped, the next viewer asks.
struct Asking<'a> {
    slot: &'a Slot,
}

impl Asking<'_> {
    async fn ask(
        self,
        viewer: &Viewer,
        epoch: u64,
        ask: impl Future<Output = Result<Option<Left>, Error>>,
    ) -> Result<Seen, Error> {
        let asked = Instant::now();
        let answer = ask.await;
        let answered = Instant::now();
        let mut state = self.slot.state();
        match answer {
            Ok(left) => {
                let seen = Seen {
                    left,
                    asked,
                    epoch,
                    answered,
                };
                (state.seen, state.failed) = (Some(seen), None);
                Ok(seen)
            }
            Err(error) => {
                state.failed = Some(answered);
                state.seen.filter(|seen| viewer.accepts(seen)).ok_or(error)
            }
        }
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.slot.state().asking = false;
        self.slot.settled.notify_waiters();
    }
}
