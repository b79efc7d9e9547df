//! The rules of a queue, as a pure state machine: no task, no time, no connection and no payload.
//!
//! Batches whose keys are disjoint may run at the same time. Normally one batch runs; when it is slow, requests
//! that have none of its keys are written by another one. Keys whose locks a batch did not get in time are
//! *suspect*: until a batch with them succeeds, they are not batched with others. Requests that a batch could not
//! decide wait for one of a few direct slots.

mod batches;
mod direct;
mod event;
#[cfg(test)]
mod explored;
mod limits;
mod requests;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, mem};

use crate::inventory::batch::job::Keys;

pub(crate) use event::{Action, BatchId, Event, Fate, Generation, Ticket};
pub(crate) use limits::Limits;
use requests::{Bypassing, Direct, InOrder, Running, Waiting};

pub(crate) type Actions = Vec<Action>;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Machine {
    limits: Limits,
    /// Queued requests, but for those that are parked at a running batch.
    waiting: InOrder<Waiting>,
    running: Vec<Running>,
    /// Requests that wait for a direct slot.
    bypassing: InOrder<Bypassing>,
    direct: Vec<Direct>,
    suspects: BTreeSet<u64>,
    worker: Option<Generation>,
    last_worker: Generation,
    last_batch: BatchId,
    last_admitted: Ticket,
    /// The oldest queued request, and how many batches have started before it.
    passed: (Ticket, u32),
    closed: bool,
}

impl Machine {
    pub(crate) const fn new(limits: Limits) -> Self {
        Self {
            limits,
            waiting: InOrder::new(),
            running: Vec::new(),
            bypassing: InOrder::new(),
            direct: Vec::new(),
            suspects: BTreeSet::new(),
            worker: None,
            last_worker: Generation(0),
            last_batch: BatchId(0),
            last_admitted: Ticket(0),
            passed: (Ticket(0), 0),
            closed: false,
        }
    }

    /// Makes the transition of one event, and returns what has to be done. An event of a batch or a worker that
    /// is no longer known has no effect.
    pub(crate) fn on(&mut self, event: Event) -> Actions {
        let mut actions = Actions::new();
        let out = &mut actions;
        match event {
            Event::Admit {
                ticket,
                keys,
                weight,
            } => {
                self.admit(ticket, keys, weight, out);
                return actions; // nothing has ended
            }
            Event::Slow(batch) => {
                for running in &mut self.running {
                    running.slow |= running.batch == batch;
                }
                return actions;
            }
            Event::Left(ticket) => self.leave(ticket, out),
            Event::DirectEnded(ticket) => self.end_direct(ticket, out),
            Event::Take(generation) => self.take(generation, out),
            Event::Ended {
                batch,
                fates,
                blocked,
            } => self.end(batch, &fates, blocked, out),
            Event::Lost(batch) => self.lose(batch, out),
            Event::WorkerLost(generation) => self.lose_worker(generation, out),
            Event::Stalled(ticket) => self.replace_worker(ticket, out),
            Event::Close => self.closed = true,
            Event::Abandon => self.abandon(out),
        }
        if self.closed && self.is_idle() {
            out.push(Action::Idle);
        }
        actions
    }

    /// Returns the number of requests that wait for a batch.
    pub(crate) fn depth(&self) -> usize {
        let parked = self.running.iter().map(|running| running.parked.len());
        self.waiting.len() + parked.sum::<usize>()
    }

    /// Returns the number of requests that have no answer.
    pub(crate) fn unanswered(&self) -> usize {
        let sent = self.running.iter().flat_map(|running| &running.requests);
        self.depth()
            + sent.filter(|sent| !sent.left).count()
            + self.bypassing.len()
            + self.direct.len()
    }

    pub(crate) const fn is_closed(&self) -> bool {
        self.closed
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
            && self.running.is_empty()
            && self.bypassing.is_empty()
            && self.direct.is_empty()
    }

    fn admit(&mut self, ticket: Ticket, keys: Keys, weight: usize, out: &mut Actions) {
        if self.closed {
            return out.push(Action::Closed);
        }
        self.last_admitted = ticket;
        if self.is_uncontended(&keys) {
            self.direct.push(Direct {
                ticket,
                keys,
                bypasses: false,
            });
            return out.push(Action::Direct);
        }
        if self.depth() + self.bypassing.len() >= self.limits.queue {
            return out.push(Action::Full);
        }
        let blocked = 0;
        let waiting = Waiting {
            keys,
            weight,
            blocked,
        };
        self.waiting.insert(ticket, waiting);
        out.push(Action::Queued);
        self.call_worker(out);
    }

    /// Wakes the worker if it may start a batch or has nothing left to do. Starts one if there is none.
    fn call_worker(&mut self, out: &mut Actions) {
        if self.waiting.is_empty() {
            if self.worker.is_some() && self.running.is_empty() {
                out.push(Action::Wake);
            }
        } else if self.worker.is_none() {
            out.push(Action::Spawn(self.new_worker()));
        } else if self.may_start() {
            out.push(Action::Wake);
        }
    }

    fn new_worker(&mut self) -> Generation {
        self.last_worker.0 += 1;
        self.worker = Some(self.last_worker);
        self.last_worker
    }

    fn leave(&mut self, ticket: Ticket, out: &mut Actions) {
        let queued = self.waiting.remove(&ticket).is_some()
            || self.bypassing.remove(&ticket).is_some()
            || self
                .running
                .iter_mut()
                .any(|running| running.parked.remove(&ticket).is_some());
        let sent = self
            .running
            .iter_mut()
            .flat_map(|running| &mut running.requests)
            .find(|sent| sent.ticket == ticket);
        let was_sent = sent.is_some();
        if let Some(sent) = sent {
            sent.left = true;
        }
        if queued || was_sent {
            out.push(Action::Forget(ticket));
            self.call_worker(out);
        }
    }

    /// The queued requests go direct, those of its batches in doubt. The next request that is queued starts
    /// another worker.
    fn lose_worker(&mut self, generation: Generation, out: &mut Actions) {
        if self.worker != Some(generation) {
            return;
        }
        self.worker = None;
        self.lose_all(out);
        for (ticket, waiting) in mem::take(&mut self.waiting) {
            self.bypass(ticket, waiting.keys, false);
        }
        self.grant(out);
    }

    /// The runtime of the worker stands still.
    fn replace_worker(&mut self, ticket: Ticket, out: &mut Actions) {
        let is_queued = self.waiting.contains_key(&ticket)
            || self.running.iter().any(|running| {
                running.parked.contains_key(&ticket)
                    || running.requests.iter().any(|sent| sent.ticket == ticket)
            });
        if !is_queued {
            return;
        }
        self.worker = None;
        self.lose_all(out);
        self.call_worker(out);
        self.grant(out);
    }

    fn abandon(&mut self, out: &mut Actions) {
        let parked = self.running.iter_mut().map(|running| &mut running.parked);
        for (ticket, _) in parked.chain([&mut self.waiting]).flat_map(mem::take) {
            let in_doubt = false;
            out.push(Action::Refuse { ticket, in_doubt });
        }
        for (ticket, Bypassing { in_doubt, .. }) in mem::take(&mut self.bypassing) {
            out.push(Action::Refuse { ticket, in_doubt });
        }
        self.call_worker(out);
    }

    /// Returns the number of connections in use.
    fn connections(&self) -> usize {
        self.running.len() + self.direct.len()
    }
}
