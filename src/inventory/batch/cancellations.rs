//! The queue of cancellations: concurrent ones are written by one statement.

mod write;

use std::{
    collections::{HashSet, VecDeque},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::options::{BatchOptions, DIRECT_FOR};
use crate::{
    inventory::{
        model::{Error, Order, OrderStep},
        postgres::{
            PgInventory,
            orders::{self, doubt::Doubt},
        },
    },
    postgres::OfSqlx,
};

use write::{Queued, write_batch};

/// The cancellations of one [`BatchedInventory`](super::BatchedInventory).
#[derive(Debug)]
pub(super) struct Cancellations {
    inventory: PgInventory,
    options: BatchOptions,
    state: Mutex<State>,
    /// Notified whenever the worker or a direct request ends.
    ended: Notify,
}

#[derive(Debug, Default)]
struct State {
    queued: VecDeque<Queued>,
    /// The number of direct requests that have not ended.
    direct: usize,
    has_worker: bool,
    /// Until then every request bypasses the queue.
    direct_until: Option<Instant>,
}

impl Cancellations {
    /// The most direct requests at a time. The products of an order are unknown before it is read, so a larger
    /// number of requests may contend.
    const MAX_DIRECT: usize = 4;

    pub(super) fn new(inventory: PgInventory, options: BatchOptions) -> Self {
        Self {
            inventory,
            options,
            state: Mutex::default(),
            ended: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that panics is done under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn step(self: &Arc<Self>, step: OrderStep) -> Result<Order, Error> {
        step.check()?;
        let doubt = Arc::new(Doubt::default());
        let _direct = match self.admit(&step, &doubt) {
            Admission::Direct(direct) => direct,
            Admission::Queued(answer) => match answer.await {
                Ok(order) => {
                    self.inventory.executor().count_batched(step.label(), None);
                    return Ok(order);
                }
                // No batch made the step; or one did, and its answer was lost.
                Err(_) => {
                    doubt.lose();
                    Direct::begin(self, &mut self.state())
                }
            },
        };
        orders::change::step(self.inventory.executor(), &step, &doubt).await
    }

    fn admit(self: &Arc<Self>, step: &OrderStep, doubt: &Arc<Doubt>) -> Admission {
        let mut state = self.state();
        let must_bypass = state.direct_until.is_some_and(|end| Instant::now() < end)
            || state.queued.len() >= self.options.queue;
        let uncontended =
            !state.has_worker && state.direct < Self::MAX_DIRECT && !self.options.always;
        if must_bypass || uncontended {
            return Admission::Direct(Direct::begin(self, &mut state));
        }
        let (answer, answered) = oneshot::channel();
        let (step, doubt) = (step.clone(), Arc::clone(doubt));
        state.queued.push_back(Queued {
            step,
            doubt,
            answer,
        });
        if !state.has_worker {
            state.has_worker = true;
            drop(state);
            tokio::spawn(run(Worker::new(Arc::clone(self))));
        }
        Admission::Queued(answered)
    }

    /// Returns when every request has its answer.
    pub(super) async fn idle(&self) {
        loop {
            let ended = self.ended.notified();
            let idle = {
                let state = self.state();
                !state.has_worker && state.direct == 0
            };
            if idle {
                return;
            }
            ended.await;
        }
    }
}

/// The decision about a new cancellation.
enum Admission {
    Direct(Direct),
    Queued(oneshot::Receiver<Order>),
}

/// A request that bypasses the queue; it counts as direct until this is dropped.
struct Direct(Arc<Cancellations>);

impl Direct {
    fn begin(cancellations: &Arc<Cancellations>, state: &mut State) -> Self {
        state.direct += 1;
        Self(Arc::clone(cancellations))
    }
}

impl Drop for Direct {
    fn drop(&mut self) {
        self.0.state().direct -= 1;
        self.0.ended.notify_waiters();
    }
}

/// The task that takes batches from the queue. If it ends early, the queued requests go direct, and the next
/// request that is queued starts another worker.
struct Worker {
    cancellations: Arc<Cancellations>,
    ended: bool,
}

impl Worker {
    const fn new(cancellations: Arc<Cancellations>) -> Self {
        let ended = false;
        Self {
            cancellations,
            ended,
        }
    }

    /// Takes the requests that fit in a batch, no order twice. If no request is queued, returns `None`: this
    /// worker has ended then, and another one may have begun.
    fn next_batch(&mut self) -> Option<Vec<Queued>> {
        let mut state = self.cancellations.state();
        let (mut batch, mut ids) = (Vec::new(), HashSet::new());
        while batch.len() < self.cancellations.options.batch
            && let Some(first) = state.queued.pop_front()
        {
            if first.answer.is_closed() {
                continue;
            }
            if !ids.insert(first.step.id) {
                state.queued.push_front(first);
                break;
            }
            batch.push(first);
        }
        if batch.is_empty() {
            state.has_worker = false;
            self.ended = true;
            drop(state);
            self.cancellations.ended.notify_waiters();
            return None;
        }
        Some(batch)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let mut state = self.cancellations.state();
        state.has_worker = false;
        let queued = mem::take(&mut state.queued);
        drop(state);
        drop(queued);
        self.cancellations.ended.notify_waiters();
    }
}

async fn run(mut worker: Worker) {
    let cancellations = Arc::clone(&worker.cancellations);
    let inventory = &cancellations.inventory;
    let mut conn = None;
    while let Some(batch) = worker.next_batch() {
        if let Err(lost) = write_batch(inventory, &mut conn, batch).await {
            if let Some(mut lease) = conn.take() {
                lease.recover(lost.refusal()).await;
            }
            if lost.is_lock_timeout() {
                cancellations.state().direct_until = Some(Instant::now() + DIRECT_FOR);
            }
        }
        inventory.executor().return_if_wanted(&mut conn);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::postgres::PgPoolOptions;

    use super::*;
    use crate::inventory::model::OrderId;

    fn admit(cancellations: &Arc<Cancellations>) -> Admission {
        let step = OrderStep::cancel(OrderId::new(), "changed my mind");
        cancellations.admit(&step, &Arc::default())
    }

    /// Cancellations of an unreachable database.
    fn cancellations() -> Arc<Cancellations> {
        let pool = PgPoolOptions::new().acquire_timeout(Duration::from_millis(10));
        let pool = pool.connect_lazy("postgres://localhost:1/unreachable");
        let inventory = PgInventory::new(pool.unwrap());
        let options = BatchOptions::new().always();
        Arc::new(Cancellations::new(inventory, options))
    }

    // On one thread: the worker that `admit` spawns does not run.
    #[tokio::test]
    async fn a_worker_that_has_ended_ends_no_other() {
        let cancellations = cancellations();
        cancellations.state().has_worker = true;
        let mut first = Worker::new(Arc::clone(&cancellations));
        assert!(first.next_batch().is_none());
        let admission = admit(&cancellations);
        drop(first);
        let state = cancellations.state();
        assert!(state.has_worker && state.queued.len() == 1);
        drop((state, admission));
    }

    #[tokio::test]
    async fn a_worker_that_ends_early_drops_the_queued_requests() {
        let cancellations = cancellations();
        cancellations.state().has_worker = true;
        let worker = Worker::new(Arc::clone(&cancellations));
        let Admission::Queued(answer) = admit(&cancellations) else {
            panic!("the request is direct, although a worker runs");
        };
        drop(worker);
        answer.await.unwrap_err();
        cancellations.idle().await;
    }
}
