//! Connections that are kept from one operation to the next.
//!
//! A pool of sqlx pings a connection on its return, a round trip beside that of a checkout. A kept connection
//! skips the pool, and so do the hooks of the host. It is kept for few operations and for a short time, as other
//! users of the pool may wait for it.

use std::{
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use sqlx::PgPool;
use tokio::{
    runtime,
    time::{Instant, sleep_until},
};

use crate::postgres::{InProgress, Lease};

/// How many consecutive operations use a connection before it returns to the pool.
const MAX_USES: u32 = 16;

/// How long a connection is kept without a use.
const MAX_IDLE: Duration = Duration::from_millis(2);

/// A connection that was not used for this long belongs to a runtime that stands still: its reaper has not run.
const ABANDONED: Duration = Duration::from_millis(250);

/// The kept connections of one inventory and its clones.
#[derive(Debug, Default)]
pub(super) struct Reuse {
    state: Mutex<State>,
    /// The operations that wait for a connection of the pool.
    waiting: Arc<AtomicUsize>,
    /// The connections on their way back to the pool, for operations that wait.
    returning: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct State {
    /// In the order in which they were kept, all in one runtime.
    idle: Vec<Idle>,
    /// The runtime in which they are kept, and in which a reaper runs.
    runtime: Option<runtime::Id>,
}

#[derive(Debug)]
struct Idle {
    lease: Lease,
    since: Instant,
}

impl Reuse {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that panics is done under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the connection that was kept last, or one of the pool.
    pub(super) async fn acquire(&self, pool: &PgPool) -> Result<Lease, sqlx::Error> {
        if let Some(lease) = self.take(pool) {
            return Ok(lease);
        }
        let _waiting = InProgress::begin(&self.waiting);
        Lease::acquire(pool).await
    }

    fn take(&self, pool: &PgPool) -> Option<Lease> {
        let here = runtime::Handle::try_current().ok()?.id();
        let mut state = self.state();
        if state.runtime == Some(here) {
            let mut lease = state.idle.pop().filter(|_| !pool.is_closed())?.lease;
            lease.begin_again();
            return Some(lease);
        }
        let is_abandoned = |idle: &Idle| idle.since.elapsed() >= ABANDONED;
        if state.idle.last().is_some_and(is_abandoned) {
            let abandoned = mem::take(&mut state.idle);
            drop(state);
            // A task that returns them would not run either.
            abandoned.into_iter().for_each(|idle| idle.lease.close());
        }
        None
    }

    /// Keeps the connection of an operation that succeeded, or returns it to the pool.
    pub(super) fn keep(self: &Arc<Self>, pool: &PgPool, lease: Lease) {
        if let Err(lease) = self.try_keep(pool, lease) {
            lease.give_back(InProgress::begin(&self.returning));
        }
    }

    fn try_keep(self: &Arc<Self>, pool: &PgPool, mut lease: Lease) -> Result<(), Lease> {
        // An operation that waits for the pool is not woken by a kept connection.
        let wanted = self.waiting.load(Relaxed) > self.returning.load(Relaxed);
        let reusable = lease.is_reusable(MAX_USES) && !pool.is_closed();
        let (false, true, Ok(runtime)) = (wanted, reusable, runtime::Handle::try_current()) else {
            return Err(lease);
        };
        let here = runtime.id();
        let mut state = self.state();
        let has_reaper = state.runtime == Some(here);
        if !has_reaper && !state.idle.is_empty() {
            return Err(lease);
        }
        let since = Instant::now();
        state.idle.push(Idle { lease, since });
        state.runtime = Some(here);
        drop(state);
        if !has_reaper {
            // A runtime that is shutting down drops the task immediately, and the reaper takes the lock.
            runtime.spawn(reap(Reaper {
                reuse: Arc::clone(self),
                runtime: here,
            }));
        }
        Ok(())
    }
}

/// The task that returns kept connections to the pool. It ends when none is kept.
struct Reaper {
    reuse: Arc<Reuse>,
    runtime: runtime::Id,
}

impl Reaper {
    /// Returns the state, unless another runtime has taken over.
    fn state(&self) -> Option<MutexGuard<'_, State>> {
        let state = self.reuse.state();
        (state.runtime == Some(self.runtime)).then_some(state)
    }

    /// Returns connections that were not used for too long to the pool. Returns when the next one is due, if any
    /// is left.
    fn reap(&self) -> Option<Instant> {
        let mut state = self.state()?;
        let now = Instant::now();
        let overdue = state
            .idle
            .partition_point(|idle| now >= idle.since + MAX_IDLE);
        let overdue: Vec<Idle> = state.idle.drain(..overdue).collect();
        let next = state.idle.first().map(|idle| idle.since + MAX_IDLE);
        drop(state);
        drop(overdue);
        next
    }
}

impl Drop for Reaper {
    /// Returns every kept connection, also if the runtime stops.
    fn drop(&mut self) {
        if let Some(mut state) = self.state() {
            state.runtime = None;
            let idle = mem::take(&mut state.idle);
            drop(state);
            drop(idle);
        }
    }
}

async fn reap(reaper: Reaper) {
    let mut next = Some(Instant::now() + MAX_IDLE);
    while let Some(due) = next {
        sleep_until(due).await;
        next = reaper.reap();
    }
}
