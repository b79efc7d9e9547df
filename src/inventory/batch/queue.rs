//! The queue of checkouts, and the admission to it.

#[allow(dead_code)]
mod machine;
#[cfg(test)]
mod old_tests;
mod state;

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{
    options::{BatchOptions, DIRECT_FOR},
    plan::Known,
};
use crate::inventory::{model::Checkout, postgres::PgInventory};

use state::State;
pub(super) use state::{Answer, Queued};

#[derive(Debug)]
pub(super) struct Queue {
    pub(super) inventory: PgInventory,
    pub(super) options: BatchOptions,
    /// The facts of the products that the last answers of the database contained.
    pub(super) known: Mutex<Known>,
    /// The last batch contained an order that already exists.
    pub(super) careful: AtomicBool,
    state: Mutex<State>,
    /// Notified whenever the worker or a direct request ends.
    ended: Notify,
    spawn_worker: fn(Arc<Self>),
}

/// The decision about a new checkout.
pub(super) enum Admission {
    /// The checkout bypasses the queue.
    Direct(Direct),
    Queued(oneshot::Receiver<Answer>),
    Full {
        retry_after: Duration,
    },
    Closed,
}

/// A request that bypasses the queue; it counts as direct until this is dropped.
pub(super) struct Direct {
    queue: Arc<Queue>,
    request: Arc<Checkout>,
}

impl Direct {
    fn begin(queue: &Arc<Queue>, state: &mut State, request: &Arc<Checkout>) -> Self {
        state.direct.push(Arc::clone(request));
        Self {
            queue: Arc::clone(queue),
            request: Arc::clone(request),
        }
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        let direct = &mut state.direct;
        direct.retain(|other| !Arc::ptr_eq(other, &self.request));
        drop(state);
        self.queue.ended.notify_waiters();
    }
}

impl Queue {
    /// The most direct requests at a time. With 4, two to four buyers of different products are as fast as
    /// without a queue; with 2 they were a quarter slower, with 8 thirty-two buyers were.
    const MAX_DIRECT: usize = 4;

    pub(super) fn new(
        inventory: PgInventory,
        options: BatchOptions,
        spawn_worker: fn(Arc<Self>),
    ) -> Self {
        Self {
            inventory,
            options,
            known: Mutex::default(),
            careful: AtomicBool::new(false),
            state: Mutex::default(),
            ended: Notify::new(),
            spawn_worker,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that panics is done under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn depth(&self) -> usize {
        self.state().queued.len()
    }

    /// Admits a checkout. A worker runs as long as requests are queued.
    pub(super) fn admit(self: &Arc<Self>, request: &Arc<Checkout>) -> Admission {
        let mut state = self.state();
        if state.closed {
            return Admission::Closed;
        }
        // A batch has neither reservations nor hooks.
        let must_bypass = request.reservation.is_some()
            || self.inventory.hook().is_some()
            || state.direct_until.is_some_and(|end| Instant::now() < end);
        let uncontended = || {
            let room = state.queued.is_empty() && state.direct.len() < Self::MAX_DIRECT;
            room && !self.options.always && !state.contends(request)
        };
        if must_bypass || uncontended() {
            return Admission::Direct(Direct::begin(self, &mut state, request));
        }
        if state.queued.len() >= self.options.queue {
            let retry_after = state.drained_in();
            return Admission::Full { retry_after };
        }
        let (answer, answered) = oneshot::channel();
        let request = Arc::clone(request);
        state.queued.push_back(Queued { request, answer });
        if !state.has_worker {
            state.has_worker = true;
            drop(state);
            (self.spawn_worker)(Arc::clone(self));
        }
        Admission::Queued(answered)
    }

    /// Counts a request that was queued as direct.
    pub(super) fn bypass(self: &Arc<Self>, request: &Arc<Checkout>) -> Direct {
        Direct::begin(self, &mut self.state(), request)
    }

    /// Lets every request bypass the queue for [`DIRECT_FOR`]: another transaction holds a lock that a batch
    /// needs, and requests for other products must not wait for it.
    pub(super) fn bypass_for_a_while(&self) {
        self.state().direct_until = Some(Instant::now() + DIRECT_FOR);
    }

    /// Takes the next batch. If no request is queued, returns `None`: the worker has ended then, and another
    /// one may have begun.
    pub(super) fn take_batch(&self) -> Option<Vec<Queued>> {
        let mut state = self.state();
        let batch = state.take_batch(self.options.batch);
        if batch.is_empty() {
            state.has_worker = false;
            drop(state);
            self.ended.notify_waiters();
            return None;
        }
        Some(batch)
    }

    /// Records that a batch of `count` requests was answered since `began`.
    pub(super) fn record_rate(&self, count: usize, began: Instant) {
        let rate = count as f64 / began.elapsed().as_secs_f64().max(1e-6);
        let mut state = self.state();
        state.rate = Some(state.rate.map_or(rate, |before| before * 0.9 + rate * 0.1));
    }

    /// Ends a worker that did not drain the queue. Returns whether another one must take over, which it does
    /// after a panic. Otherwise the runtime shuts down and no worker can run on it: the queued requests are
    /// dropped, and those of callers on another runtime go direct.
    pub(super) fn worker_ended_early(&self, panicked: bool) -> bool {
        let mut state = self.state();
        state.in_batch.clear();
        if panicked && !state.queued.is_empty() {
            return true;
        }
        state.has_worker = false;
        let queued = mem::take(&mut state.queued);
        drop(state);
        drop(queued);
        self.ended.notify_waiters();
        false
    }

    fn is_idle(&self) -> bool {
        let state = self.state();
        !state.has_worker && state.direct.is_empty()
    }

    /// Rejects new requests, and returns when every admitted one has its answer.
    pub(super) async fn close(&self) {
        self.state().closed = true;
        loop {
            let ended = self.ended.notified();
            if self.is_idle() {
                return;
            }
            ended.await;
        }
    }
}
