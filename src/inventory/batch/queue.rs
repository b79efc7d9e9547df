//! Who waits, and who goes by himself.

#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicBool},
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{APART, BatchOptions, plan::Known, worker};
use crate::inventory::{
    model::{Checkout, Error, Order, Sku},
    postgres::PgInventory,
};

/// One checkout in the queue.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) request: Arc<Checkout>,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// What becomes of it.
#[derive(Debug)]
pub(super) enum Answer {
    Here(Result<Order, Error>),
    /// It has to go its way alone.
    Alone {
        /// What was sent for it may have taken effect, or may still.
        in_doubt: bool,
    },
}

#[derive(Debug)]
pub(super) struct Queue {
    pub(super) inventory: PgInventory,
    pub(super) options: BatchOptions,
    /// What the last answers of the database said.
    pub(super) known: Mutex<Known>,
    /// The last batch met an order that was there already.
    pub(super) careful: AtomicBool,
    state: Mutex<State>,
    /// Told whenever the worker, or one that went alone, is done.
    done: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// Those that went alone, and are not back.
    alone: Vec<Arc<Checkout>>,
    /// Those of the batch that is being written.
    served: Vec<Arc<Checkout>>,
    /// Somebody serves.
    busy: bool,
    closed: bool,
    /// Requests per second of the last batches, once there were some.
    rate: Option<f64>,
    /// Until then everybody goes alone.
    apart_until: Option<Instant>,
}

impl State {
    /// Whether the database is at work on something of the same products.
    fn meets(&self, request: &Checkout) -> bool {
        let mut in_hand = self.alone.iter().chain(&self.served);
        in_hand.any(|other| meet(other, request))
    }
}

/// Whether they want the same product.
fn meet(a: &Checkout, b: &Checkout) -> bool {
    let wants = |sku: &Sku| b.lines.iter().any(|line| line.sku == *sku);
    a.lines.iter().any(|line| wants(&line.sku))
}

/// Where a checkout goes.
pub(super) enum Turn {
    /// Nobody is in its way: it had better go by itself.
    Alone(Alone),
    Wait(oneshot::Receiver<Answer>),
    Full {
        retry_after: Duration,
    },
    Closed,
}

/// One that goes by itself.
pub(super) struct Alone {
    queue: Arc<Queue>,
    request: Arc<Checkout>,
}

impl Alone {
    fn begin(queue: &Arc<Queue>, state: &mut State, request: &Arc<Checkout>) -> Self {
        state.alone.push(Arc::clone(request));
        Self {
            queue: Arc::clone(queue),
            request: Arc::clone(request),
        }
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let mut state = self.queue.state();
        let alone = &mut state.alone;
        alone.retain(|other| !Arc::ptr_eq(other, &self.request));
        drop(state);
        self.queue.done.notify_waiters();
    }
}

impl Queue {
    /// So many may go alone at once. By 4, two to four buyers of different products are as fast as without
    /// a queue; by 2 they were a quarter slower, by 8 thirty-two of them were.
    const ALONE: usize = 4;

    pub(super) fn new(inventory: PgInventory, options: BatchOptions) -> Self {
        Self {
            inventory,
            options,
            known: Mutex::default(),
            careful: AtomicBool::new(false),
            state: Mutex::default(),
            done: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that panics is done under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn depth(&self) -> usize {
        self.state().waiting.len()
    }

    /// Somebody serves as long as anybody waits.
    pub(super) fn join(self: &Arc<Self>, request: &Arc<Checkout>) -> Turn {
        let mut state = self.state();
        if state.closed {
            return Turn::Closed;
        }
        // What no batch can do, or none can now.
        let apart = request.reservation.is_some()
            || self.inventory.hook().is_some()
            || state.apart_until.is_some_and(|end| Instant::now() < end);
        let cool = || {
            let room = state.waiting.is_empty() && state.alone.len() < Self::ALONE;
            room && !self.options.always && !state.meets(request)
        };
        if apart || cool() {
            return Turn::Alone(Alone::begin(self, &mut state, request));
        }
        if state.waiting.len() >= self.options.queue {
            // Unknown as long as nothing was served: then a second is a guess.
            let seconds = state
                .rate
                .map_or(1.0, |rate| state.waiting.len() as f64 / rate);
            let retry_after = Duration::from_secs_f64(seconds.clamp(0.001, 60.0));
            return Turn::Full { retry_after };
        }
        let (answer, answered) = oneshot::channel();
        let request = Arc::clone(request);
        state.waiting.push_back(Waiting { request, answer });
        if !state.busy {
            state.busy = true;
            drop(state);
            tokio::spawn(worker::work(Shift::begin(Arc::clone(self))));
        }
        Turn::Wait(answered)
    }

    /// One that was in the queue goes by itself.
    pub(super) fn let_go(self: &Arc<Self>, request: &Arc<Checkout>) -> Alone {
        Alone::begin(self, &mut self.state(), request)
    }

    /// Somebody else holds what a batch needs: whoever needs something else is not to wait for it.
    pub(super) fn part(&self) {
        self.state().apart_until = Some(Instant::now() + APART);
    }

    fn is_done(&self) -> bool {
        let state = self.state();
        !state.busy && state.alone.is_empty()
    }

    /// Lets nobody in any more, and waits until all are served.
    pub(super) async fn close(&self) {
        self.state().closed = true;
        loop {
            let done = self.done.notified();
            if self.is_done() {
                return;
            }
            done.await;
        }
    }
}

/// The worker's time at work. However it ends, others are served on.
#[derive(Debug)]
pub(super) struct Shift {
    queue: Arc<Queue>,
    over: bool,
}

impl Shift {
    const fn begin(queue: Arc<Queue>) -> Self {
        Self { queue, over: false }
    }

    pub(super) const fn queue(&self) -> &Arc<Queue> {
        &self.queue
    }

    /// Those who wait, in the order of their arrival, as many as fit in a batch; those who left are
    /// dropped. `None` when nobody waits: then this shift is over.
    pub(super) fn next(&mut self) -> Option<Vec<Waiting>> {
        let mut state = self.queue.state();
        let (mut batch, mut lines) = (Vec::new(), 0);
        while batch.len() < self.queue.options.batch
            && let Some(first) = state.waiting.front()
            && (batch.is_empty() || lines + first.request.lines.len() <= BatchOptions::LINES)
        {
            if let Some(first) = state.waiting.pop_front()
                && !first.answer.is_closed()
            {
                lines += first.request.lines.len();
                batch.push(first);
            }
        }
        let served = batch.iter().map(|one| Arc::clone(&one.request)).collect();
        state.served = served;
        if batch.is_empty() {
            state.busy = false;
            self.over = true;
            drop(state);
            self.queue.done.notify_waiters();
            return None;
        }
        Some(batch)
    }

    /// So many were served since.
    pub(super) fn served(&self, count: usize, since: Instant) {
        let rate = count as f64 / since.elapsed().as_secs_f64().max(1e-6);
        let mut state = self.queue.state();
        state.rate = Some(state.rate.map_or(rate, |before| before * 0.9 + rate * 0.1));
    }
}

impl Drop for Shift {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let mut state = self.queue.state();
        state.served.clear();
        if std::thread::panicking() && !state.waiting.is_empty() {
            drop(state);
            tokio::spawn(worker::work(Self::begin(Arc::clone(&self.queue))));
            return;
        }
        // At the end of a runtime nobody serves on it any more. Who waits on another one goes his way
        // alone, when his sender is dropped.
        state.busy = false;
        let left: Vec<Waiting> = state.waiting.drain(..).collect();
        drop(state);
        drop(left);
        self.queue.done.notify_waiters();
    }
}
