//! What the callers and the worker of a queue share.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{
    machine::{Machine, Ticket},
    rate::Rate,
};
use crate::{
    inventory::{batch::job::Job, model::Error, postgres::executor::Executor},
    metrics::Lane,
};

/// How long batches wait for a lock, as their statements set it.
pub(super) const LOCK_TIMEOUT: Duration = Duration::from_millis(500);

/// A batch that takes longer is slow.
pub(super) const SLOW: Duration = Duration::from_millis(50);

/// The requests of one job that wait to be written together.
pub(crate) struct Queue<J: Job> {
    pub(crate) job: J,
    pub(super) executor: Executor,
    pub(super) time_limit: Duration,
    pub(super) shared: Mutex<Shared<J>>,
    /// Changes with each progress of the worker or of a request that has bypassed it.
    pub(super) progress: AtomicU64,
    /// Notified when the queue is closed and every request has its answer.
    pub(super) idle: Notify,
    pub(super) metrics: Lane,
}

pub(super) struct Shared<J: Job> {
    pub(super) machine: Machine,
    /// The queued requests, and those of running batches.
    pub(super) payloads: HashMap<Ticket, Payload<J>>,
    /// The requests that have bypassed the worker, and when their tasks were last seen.
    pub(super) granted: Vec<(Ticket, Instant)>,
    pub(super) last_ticket: u64,
    /// The current worker.
    pub(super) worker: Option<Arc<Signal>>,
    pub(super) rate: Rate,
}

/// A queued request, or one of a running batch.
pub(super) struct Payload<J: Job> {
    pub(super) request: Arc<J::Request>,
    pub(super) reply: oneshot::Sender<Reply<J>>,
    pub(super) since: Instant,
}

/// The reply to a queued request.
pub(super) enum Reply<J: Job> {
    Final(Result<J::Answer, Error>),
    /// The caller makes the request.
    Direct {
        slot: Slot<J>,
        in_doubt: bool,
    },
}

/// The permission to make a request directly, until it is dropped.
pub(super) struct Slot<J: Job> {
    /// `None` when the permission was given back.
    pub(super) queue: Option<Arc<Queue<J>>>,
    pub(super) ticket: Ticket,
}

/// How a queue reaches its worker.
#[derive(Debug, Default)]
pub(super) struct Signal {
    pub(super) wake: Notify,
    /// The worker stood still or was lost, and its requests are in doubt: its batches must not go on.
    pub(super) replaced: AtomicBool,
}

impl Signal {
    pub(super) fn wake(&self) {
        self.wake.notify_one();
    }

    pub(super) fn replace(&self) {
        self.replaced.store(true, Relaxed);
        self.wake();
    }
}

impl<J: Job> Queue<J> {
    pub(super) fn shared(&self) -> MutexGuard<'_, Shared<J>> {
        // Nothing that panics is done under this lock.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<J: Job> Shared<J> {
    /// Returns when the queue will be drained.
    pub(super) fn drained_in(&self) -> Duration {
        self.rate.drained_in(self.machine.depth())
    }
}
