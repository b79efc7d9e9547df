//! The queue of the requests of one job: the state machine, with the requests, the callers and the time that it
//! knows nothing of.

mod caller;
mod effects;
mod machine;
mod rate;
mod shared;
#[cfg(test)]
mod tests;
mod worker;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{
    job::{Direct, Job},
    options::BatchOptions,
};
use crate::{
    inventory::{model::Error, postgres::executor::Executor},
    metrics::Lane,
};

use caller::Queued;
use machine::{Action, Event, Limits, Machine, Ticket};
use rate::Rate;
pub(crate) use shared::Queue;
use shared::{LOCK_TIMEOUT, Payload, Reply, Shared, Slot};

/// The fewest requests of a batch that is sent while another one is written. Smaller ones cost more than they gain:
/// with four processes of 64 callers each, their batches follow each other anyway.
const FOLLOW: usize = 64;

/// The decision about a new request.
enum Admission<J: Job> {
    Direct(Slot<J>),
    Queued(Queued<J>),
    Full { retry_after: Duration },
    Closed,
}

impl<J: Job> Queue<J> {
    /// Creates a queue that has its share of the pool: `lanes` queues have the same one.
    pub(crate) fn new(job: J, executor: &Executor, options: BatchOptions, lanes: u32) -> Self {
        let limits = Limits {
            batch: options.batch,
            lines: BatchOptions::MAX_LINES,
            queue: options.queue,
            connections: connections(executor.max_connections(), lanes),
            attempts: attempts(executor),
            follow: FOLLOW,
            always: options.always,
            beside: J::BESIDE,
        };
        Self {
            job,
            executor: executor.clone(),
            time_limit: options.time_limit,
            shared: Mutex::new(Shared {
                machine: Machine::new(limits),
                payloads: HashMap::new(),
                granted: Vec::new(),
                last_ticket: 0,
                worker: None,
                rate: Rate::default(),
            }),
            progress: AtomicU64::new(0),
            idle: Notify::new(),
            metrics: Lane::new(J::LANE),
        }
    }

    /// Returns the number of requests that are queued for a batch.
    pub(crate) fn depth(&self) -> usize {
        self.shared().machine.depth()
    }

    /// Makes a request: directly if it is uncontended, else by a batch.
    pub(crate) async fn submit(
        self: &Arc<Self>,
        request: &Arc<J::Request>,
    ) -> Result<J::Answer, Error> {
        let queued = match self.admit(request) {
            Admission::Closed => return Err(Error::busy(None)),
            Admission::Full { retry_after } => return Err(Error::busy(Some(retry_after))),
            Admission::Direct(_slot) => {
                let how = Direct {
                    in_doubt: false,
                    lock_limit: false,
                };
                return self.job.direct(request, how).await;
            }
            Admission::Queued(queued) => queued,
        };
        match queued.reply().await {
            Reply::Final(answer) => answer,
            Reply::Direct { slot, in_doubt } => {
                let lock_limit = true;
                let how = Direct {
                    in_doubt,
                    lock_limit,
                };
                slot.run(self.job.direct(request, how)).await
            }
        }
    }

    fn admit(self: &Arc<Self>, request: &Arc<J::Request>) -> Admission<J> {
        let (keys, weight) = (self.job.keys(request), self.job.weight(request));
        let mut shared = self.shared();
        shared.last_ticket += 1;
        let ticket = Ticket(shared.last_ticket);
        let mut actions = shared.machine.on(Event::Admit {
            ticket,
            keys,
            weight,
        });
        match actions.swap_remove(0) {
            Action::Direct => Admission::Direct(Slot::new(self, ticket)),
            Action::Full => {
                let retry_after = shared.drained_in();
                Admission::Full { retry_after }
            }
            Action::Queued => {
                let (queued, reply) = Queued::new(self, ticket);
                let payload = Payload {
                    request: Arc::clone(request),
                    reply,
                    since: Instant::now(),
                };
                shared.payloads.insert(ticket, payload);
                self.metrics.depth(shared.machine.depth());
                let effects = self.effects(&mut shared, actions, Vec::new());
                drop(shared);
                effects.carry_out(self);
                Admission::Queued(queued)
            }
            _ => Admission::Closed,
        }
    }

    /// Sends an event to the machine, and carries out what follows from it.
    fn on(self: &Arc<Self>, event: Event) {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            if !matches!(event, Event::Left(_) | Event::Stalled(_)) {
                self.progress.fetch_add(1, Relaxed);
            }
            let replaces = matches!(event, Event::Stalled(_) | Event::WorkerLost(_));
            let mut shared = self.shared();
            if let Event::DirectEnded(ended) = event {
                shared.granted.retain(|(ticket, _)| *ticket != ended);
            }
            let actions = shared.machine.on(event);
            if replaces
                && !actions.is_empty()
                && let Some(worker) = shared.worker.take()
            {
                worker.replace();
            }
            let effects = self.effects(&mut shared, actions, Vec::new());
            drop(shared);
            events.extend(effects.carry_out(self));
        }
    }

    /// Records that the task of a direct request is alive.
    fn touch(&self, ticket: Ticket) {
        let mut shared = self.shared();
        let mut granted = shared.granted.iter_mut();
        if let Some((_, seen)) = granted.find(|(granted, _)| *granted == ticket) {
            *seen = Instant::now();
        }
    }

    /// Replaces the worker, which stands still: nothing has moved for longer than a batch may take. Direct
    /// requests whose tasks stand still lose their slots.
    fn stalled(self: &Arc<Self>, ticket: Ticket) {
        let shared = self.shared();
        let still = |seen: &Instant| seen.elapsed() > self.time_limit;
        let granted = shared.granted.iter().filter(|(_, seen)| still(seen));
        let stalled: Vec<Event> = granted.map(|it| Event::DirectEnded(it.0)).collect();
        drop(shared);
        for event in stalled.into_iter().chain([Event::Stalled(ticket)]) {
            self.on(event);
        }
    }

    /// Rejects new requests.
    pub(crate) fn close(self: &Arc<Self>) {
        self.on(Event::Close);
    }

    /// Returns when the queue is closed and every request has its answer.
    pub(crate) async fn idle(&self) {
        loop {
            let idle = self.idle.notified();
            if self.shared().machine.is_idle() {
                return;
            }
            idle.await;
        }
    }

    /// Returns the number of requests without an answer, and answers those that are queued.
    pub(crate) fn abandon(self: &Arc<Self>) -> usize {
        let unanswered = self.shared().machine.unanswered();
        self.on(Event::Abandon);
        unanswered
    }
}

/// Returns the share of one queue of a pool, of which one connection is for others.
const fn connections(pool: u32, lanes: u32) -> usize {
    match pool.saturating_sub(1) / lanes {
        0 => 1,
        share => share as usize,
    }
}

/// Returns after how many blocked batches a request is refused: the attempts of the policy, as far as its deadline
/// allows them.
fn attempts(executor: &Executor) -> u32 {
    let policy = executor.policy();
    let in_time = policy.deadline().map_or(u128::MAX, |deadline| {
        deadline.as_millis().div_ceil(LOCK_TIMEOUT.as_millis())
    });
    let in_time = u32::try_from(in_time).unwrap_or(u32::MAX);
    policy.max_attempts().min(in_time).max(1)
}

impl<J: Job> fmt::Debug for Queue<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("lane", &J::LANE)
            .field("depth", &self.depth())
            .finish_non_exhaustive()
    }
}
