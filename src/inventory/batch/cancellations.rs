//! Cancels that wait for each other anyway: one statement for all of them.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};
use uuid::Uuid;

use super::{APART, BatchOptions};
use crate::{
    Attempt, Version,
    inventory::{
        model::{Error, Order, OrderId, OrderStep, order_step::Judged},
        postgres::{
            PgInventory,
            orders::{self, doubt::Doubt, step},
        },
    },
    postgres::{Lease, OfSqlx, Work},
};

/// The cancels of one [`BatchedInventory`](super::BatchedInventory).
#[derive(Debug)]
pub(super) struct Cancels {
    inventory: PgInventory,
    options: BatchOptions,
    state: Mutex<State>,
    done: Notify,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// So many went alone, and are not back.
    alone: usize,
    /// Somebody serves.
    busy: bool,
    /// Until then everybody goes alone.
    apart_until: Option<Instant>,
}

/// If it is dropped, the caller's request goes to the inventory directly.
#[derive(Debug)]
struct Waiting {
    step: OrderStep,
    /// Whether a batch was sent with it, at which version.
    doubt: Arc<Doubt>,
    answer: oneshot::Sender<Order>,
}

impl Cancels {
    /// So many may go alone at once. Which products an order has is not known before it is read, so more
    /// than that may be in each other's way.
    const ALONE: usize = 4;

    pub(super) fn new(inventory: PgInventory, options: BatchOptions) -> Self {
        Self {
            inventory,
            options,
            state: Mutex::default(),
            done: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that panics is done under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn step(self: &Arc<Self>, step: OrderStep) -> Result<Order, Error> {
        step.check()?;
        let doubt = Arc::new(Doubt::default());
        let _alone = match self.join(&step, &doubt) {
            Turn::Alone(alone) => alone,
            Turn::Wait(answered) => match answered.await {
                Ok(order) => {
                    self.inventory.executor().count_batched(step.label(), None);
                    return Ok(order);
                }
                // No batch could do it; or one did, and its answer was lost.
                Err(_) => {
                    doubt.lose();
                    Alone::begin(self, &mut self.state())
                }
            },
        };
        orders::change::step(self.inventory.executor(), &step, &doubt).await
    }

    fn join(self: &Arc<Self>, step: &OrderStep, doubt: &Arc<Doubt>) -> Turn {
        let mut state = self.state();
        let apart = state.apart_until.is_some_and(|end| Instant::now() < end);
        let cool = !state.busy && state.alone < Self::ALONE && !self.options.always;
        if apart || cool || state.waiting.len() >= self.options.queue {
            return Turn::Alone(Alone::begin(self, &mut state));
        }
        let (answer, answered) = oneshot::channel();
        let (step, doubt) = (step.clone(), Arc::clone(doubt));
        state.waiting.push_back(Waiting {
            step,
            doubt,
            answer,
        });
        if !state.busy {
            state.busy = true;
            drop(state);
            tokio::spawn(work(Shift::begin(Arc::clone(self))));
        }
        Turn::Wait(answered)
    }

    /// Returns when everybody is served.
    pub(super) async fn idle(&self) {
        loop {
            let done = self.done.notified();
            let idle = {
                let state = self.state();
                !state.busy && state.alone == 0
            };
            if idle {
                return;
            }
            done.await;
        }
    }
}

/// Where a cancel goes.
enum Turn {
    Alone(Alone),
    Wait(oneshot::Receiver<Order>),
}

/// One that goes by itself.
struct Alone(Arc<Cancels>);

impl Alone {
    fn begin(cancels: &Arc<Cancels>, state: &mut State) -> Self {
        state.alone += 1;
        Self(Arc::clone(cancels))
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        self.0.state().alone -= 1;
        self.0.done.notify_waiters();
    }
}

/// The worker's time at work. However it ends, whoever waits goes by himself, and the next one begins anew.
struct Shift {
    cancels: Arc<Cancels>,
    over: bool,
}

impl Shift {
    const fn begin(cancels: Arc<Cancels>) -> Self {
        let over = false;
        Self { cancels, over }
    }

    /// As many as fit in a batch, no order twice. `None` when nobody waits: then this shift is over, and
    /// the next one may have begun.
    fn next(&mut self) -> Option<Vec<Waiting>> {
        let mut state = self.cancels.state();
        let (mut batch, mut ids) = (Vec::new(), HashSet::new());
        while batch.len() < self.cancels.options.batch
            && let Some(first) = state.waiting.pop_front()
        {
            if first.answer.is_closed() {
                continue;
            }
            if !ids.insert(first.step.id) {
                state.waiting.push_front(first);
                break;
            }
            batch.push(first);
        }
        if batch.is_empty() {
            state.busy = false;
            self.over = true;
            drop(state);
            self.cancels.done.notify_waiters();
            return None;
        }
        Some(batch)
    }
}

impl Drop for Shift {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let mut state = self.cancels.state();
        state.busy = false;
        let left = mem::take(&mut state.waiting);
        drop(state);
        drop(left);
        self.cancels.done.notify_waiters();
    }
}

async fn work(mut shift: Shift) {
    let cancels = Arc::clone(&shift.cancels);
    let mut conn = None;
    while let Some(batch) = shift.next() {
        if let Err(lost) = serve(&cancels, &mut conn, batch).await {
            if let Some(mut lease) = conn.take() {
                lease.recover(lost.refusal()).await;
            }
            if lost.is_lock_timeout() {
                cancels.state().apart_until = Some(Instant::now() + APART);
            }
        }
        cancels.inventory.executor().return_if_wanted(&mut conn);
    }
}

async fn serve(
    cancels: &Cancels,
    conn: &mut Option<Lease>,
    batch: Vec<Waiting>,
) -> Result<(), Error> {
    let inventory = &cancels.inventory;
    let at_once = match conn {
        Some(conn) => conn,
        None => conn.insert(inventory.executor().acquire().await?),
    };
    let ids: Vec<Uuid> = batch.iter().map(|it| it.step.id.uuid()).collect();
    let orders = orders::of(at_once, &ids).await?;
    let batch = begun(orders, batch);
    if batch.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = batch.iter().map(|it| it.made.id.uuid()).collect();
    let versions: Vec<_> = batch.iter().map(|it| Some(it.read)).collect();
    let reasons: Vec<&str> = batch
        .iter()
        .filter_map(|it| it.asked.step.reason())
        .collect();
    for it in &batch {
        it.asked.doubt.send(it.read);
    }
    let cancelled = match step::cancel_many(at_once, &ids, &versions, &reasons).await {
        // As the session's isolation level may have it: under READ COMMITTED a batch waits its turn.
        Err(lost) if lost.is_conflict() => {
            *conn = None;
            let (ids, versions, reasons) = (&ids, &versions, &reasons);
            let again: Work<'_, '_, _> =
                &|conn, _| Box::pin(step::cancel_many(conn, ids, versions, reasons));
            let done = inventory
                .executor()
                .locking_attempt(Attempt::FIRST, again)
                .await;
            done.map_err(|failed| failed.error)
        }
        done => done,
    };
    if !cancelled.as_ref().is_err_and(Error::is_unknown) {
        for it in &batch {
            it.asked.doubt.begin();
        }
    }
    let cancelled = cancelled?;
    for it in batch {
        if cancelled.contains(&it.made.id.uuid()) {
            drop(it.asked.answer.send(it.made));
        }
    }
    Ok(())
}

/// A cancellation that begins at its order.
struct Begun {
    asked: Waiting,
    /// The version at which the order was read.
    read: Version,
    /// The order as it will be.
    made: Order,
}

/// Those that begin at their orders. Answers those that were made before; the others are refused directly.
fn begun(orders: Vec<Order>, batch: Vec<Waiting>) -> Vec<Begun> {
    let mut orders: HashMap<OrderId, Order> =
        orders.into_iter().map(|order| (order.id, order)).collect();
    let mut begun = Vec::with_capacity(batch.len());
    for asked in batch {
        let Some(mut order) = orders.remove(&asked.step.id) else {
            continue;
        };
        match asked.step.judge(&order) {
            Ok(Judged::Made) => {
                order.replayed = true;
                drop(asked.answer.send(order));
            }
            Ok(Judged::Begins) => {
                if let Ok(made) = asked.step.made(&order) {
                    let read = order.version;
                    begun.push(Begun { asked, read, made });
                }
            }
            Err(_) => {}
        }
    }
    begun
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::postgres::PgPoolOptions;

    use super::*;

    fn join(cancels: &Arc<Cancels>) -> Turn {
        let step = OrderStep::cancel(OrderId::new(), "changed my mind");
        cancels.join(&step, &Arc::default())
    }

    /// Before a database that is not there.
    fn cancels() -> Arc<Cancels> {
        let pool = PgPoolOptions::new().acquire_timeout(Duration::from_millis(10));
        let pool = pool.connect_lazy("postgres://nobody@localhost:1/nothing");
        let inventory = PgInventory::new(pool.unwrap());
        Arc::new(Cancels::new(inventory, BatchOptions::new().always()))
    }

    // On one thread: the worker that `join` spawns has no turn.
    #[tokio::test]
    async fn a_shift_that_is_over_ends_no_other() {
        let cancels = cancels();
        cancels.state().busy = true;
        let mut first = Shift::begin(Arc::clone(&cancels));
        assert!(first.next().is_none());
        let waiting = join(&cancels);
        drop(first);
        let state = cancels.state();
        assert!(state.busy && state.waiting.len() == 1);
        drop((state, waiting));
    }

    #[tokio::test]
    async fn a_shift_that_breaks_off_lets_everybody_go() {
        let cancels = cancels();
        cancels.state().busy = true;
        let shift = Shift::begin(Arc::clone(&cancels));
        let Turn::Wait(answered) = join(&cancels) else {
            panic!("somebody serves");
        };
        drop(shift);
        answered.await.unwrap_err();
        cancels.idle().await;
    }
}
