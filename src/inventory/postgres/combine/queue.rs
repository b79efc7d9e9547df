//! Who waits, and who serves them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::{Notify, oneshot};

use super::{CombineOptions, plan::Known, serve};
use crate::inventory::{Checkout, Error, Order, PgInventory};

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
    pub(super) options: CombineOptions,
    /// What the last answers of the database said.
    pub(super) known: Mutex<Known>,
    state: Mutex<State>,
    /// Told whenever a worker ends.
    ended: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    workers: usize,
    closed: bool,
    /// Requests per second of the last batches, once there were some.
    rate: Option<f64>,
}

/// Why a checkout can't wait here.
pub(super) enum Refused {
    Full { retry_after: Duration },
    Closed,
}

impl Queue {
    pub(super) fn new(inventory: PgInventory, options: CombineOptions) -> Self {
        Self {
            inventory,
            options,
            known: Mutex::default(),
            state: Mutex::default(),
            ended: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that panics is done under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn depth(&self) -> usize {
        self.state().waiting.len()
    }

    /// Waits in line. Somebody serves as long as anybody waits.
    pub(super) fn join(
        self: &Arc<Self>,
        request: Arc<Checkout>,
    ) -> Result<oneshot::Receiver<Answer>, Refused> {
        let (answer, answered) = oneshot::channel();
        let mut state = self.state();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.waiting.len() >= self.options.queue {
            let rate = state.rate.unwrap_or(1.0);
            let seconds = state.waiting.len() as f64 / rate.max(1.0);
            let retry_after = Duration::from_secs_f64(seconds.min(60.0));
            return Err(Refused::Full { retry_after });
        }
        state.waiting.push_back(Waiting { request, answer });
        if state.workers < self.options.workers {
            state.workers += 1;
            drop(state);
            tokio::spawn(serve::work(Shift::begin(Arc::clone(self))));
        }
        Ok(answered)
    }

    /// Lets nobody in any more, and waits until all are served.
    pub(super) async fn close(&self) {
        self.state().closed = true;
        loop {
            let ended = self.ended.notified();
            if self.state().workers == 0 {
                return;
            }
            ended.await;
        }
    }
}

/// One worker's time at work. However it ends, others are served on.
#[derive(Debug)]
pub(super) struct Shift {
    queue: Arc<Queue>,
    over: bool,
}

impl Shift {
    const fn begin(queue: Arc<Queue>) -> Self {
        Self { queue, over: false }
    }

    pub(super) fn queue(&self) -> &Queue {
        &self.queue
    }

    /// Those who wait, in the order of their arrival, as many as fit in a batch; those who left are
    /// dropped. `None` when nobody waits: then this shift is over.
    pub(super) fn next(&mut self) -> Option<Vec<Waiting>> {
        let mut state = self.queue.state();
        let (mut batch, mut lines) = (Vec::new(), 0);
        while batch.len() < self.queue.options.batch
            && let Some(first) = state.waiting.front()
            && (batch.is_empty() || lines + first.request.lines.len() <= CombineOptions::LINES)
        {
            if let Some(first) = state.waiting.pop_front()
                && !first.answer.is_closed()
            {
                lines += first.request.lines.len();
                batch.push(first);
            }
        }
        if batch.is_empty() {
            state.workers -= 1;
            self.over = true;
            drop(state);
            self.queue.ended.notify_waiters();
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
        // A panic, or the end of this runtime. Whoever waits needs another worker, or an answer: those
        // whose sender is dropped go their way alone.
        let mut state = self.queue.state();
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if !state.waiting.is_empty() => {
                drop(state);
                runtime.spawn(serve::work(Self::begin(Arc::clone(&self.queue))));
            }
            _ => {
                state.workers -= 1;
                let left: Vec<Waiting> = state.waiting.drain(..).collect();
                drop(state);
                drop(left);
                self.queue.ended.notify_waiters();
            }
        }
    }
}
