//! What was seen of one product, and which of its viewers asks.

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

/// How long a failure is remembered; and how long a viewer waits for the answer to another one's question
/// when there is an old answer to show.
pub(super) const MOMENT: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Slot {
    state: Mutex<State>,
    /// The viewer that asked has its answer, or was dropped.
    settled: Notify,
}

#[derive(Debug, Default)]
struct State {
    asking: bool,
    seen: Option<Seen>,
    /// When the inventory failed, if it did not answer since.
    failed: Option<Instant>,
}

/// What the inventory has of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) available: i64,
    pub(super) paused: bool,
}

/// An answer of the inventory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// `None`: it is not sold.
    pub(super) left: Option<Left>,
    /// When the inventory was asked, and after how many changes.
    pub(super) asked: Instant,
    epoch: u64,
    answered: Instant,
}

/// What one viewer may be shown.
#[derive(Clone, Copy, Debug)]
struct Viewer {
    came: Instant,
    /// What changed before it came must be in the answer; what changes later may be or not.
    epoch: u64,
    ttl: Duration,
}

enum Look<'a> {
    Answer(Result<Seen, Error>),
    Ask(Asking<'a>),
    /// Another viewer asks. What was seen before can be shown, if there is something.
    Wait(Option<Seen>),
}

impl Slot {
    /// The answer to a viewer; of all viewers at a time, one polls `ask`. `epoch` counts the changes so far.
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
            // Made before the look, so that it hears of everything that the look does not see.
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
    /// No change through this cache made it stale.
    const fn accepts(&self, seen: &Seen) -> bool {
        seen.epoch >= self.epoch
    }

    /// Not older than it may be, or the answer that this viewer waited for.
    fn is_fresh(&self, seen: &Seen) -> bool {
        seen.asked.elapsed() < self.ttl || seen.answered >= self.came
    }
}

/// The viewer that asks. When it is dropped, the next one does.
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
