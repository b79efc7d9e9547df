//! What surrounds the machine: callers, the task of the worker, and its batches.

use super::super::{Action, Actions, BatchId, Generation, Machine, Ticket};

/// Where a request is, as its caller sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Caller {
    Queued,
    Direct {
        bypasses: bool,
    },
    /// It has its answer, or its caller is gone.
    Done,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Batch {
    pub(super) id: BatchId,
    pub(super) tickets: Vec<Ticket>,
    pub(super) slow: bool,
}

/// The task of a worker.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Worker {
    pub(super) generation: Generation,
    /// It asks for batches next.
    pub(super) woken: bool,
    pub(super) batches: Vec<Batch>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct State {
    pub(super) machine: Machine,
    /// The request with ticket `n` is at `n - 1`.
    pub(super) callers: Vec<Caller>,
    pub(super) keys: Vec<Vec<u64>>,
    pub(super) worker: Option<Worker>,
    /// A worker that was replaced, and may wake.
    pub(super) replaced: Option<Worker>,
    pub(super) disturbances: u8,
    /// How many callers may leave.
    pub(super) leaves: u8,
    pub(super) idle: bool,
    pub(super) answered_twice: bool,
    /// The machine wants what cannot be done.
    pub(super) impossible: bool,
}

impl State {
    pub(super) fn caller(&mut self, ticket: Ticket) -> &mut Caller {
        &mut self.callers[usize::try_from(ticket.0).expect("few tickets") - 1]
    }

    /// Carries out what the machine wants, as the queue does. `may_spawn`: the event came from a caller.
    pub(super) fn perform(&mut self, actions: Actions, may_spawn: bool) {
        for action in actions {
            match action {
                Action::Direct | Action::Queued | Action::Full | Action::Closed => {}
                Action::Spawn(generation) => {
                    self.impossible |= !may_spawn || self.worker.is_some();
                    self.worker = Some(Worker {
                        generation,
                        woken: true,
                        batches: Vec::new(),
                    });
                }
                Action::Wake => match &mut self.worker {
                    Some(worker) => worker.woken = true,
                    None => self.impossible = true,
                },
                Action::Start { batch, tickets, .. } => {
                    let started = Batch {
                        id: batch,
                        tickets,
                        slow: false,
                    };
                    match &mut self.worker {
                        Some(worker) => worker.batches.push(started),
                        None => self.impossible = true,
                    }
                }
                Action::Rest => self.worker = None,
                Action::Answer { ticket, .. } | Action::Refuse { ticket, .. } => {
                    self.answer(ticket);
                }
                Action::Grant { ticket, .. } => match self.caller(ticket) {
                    caller @ Caller::Queued => *caller = Caller::Direct { bypasses: true },
                    _ => self.impossible = true,
                },
                Action::Doubt(_) | Action::Forget(_) => {}
                Action::Idle => self.idle = true,
            }
        }
    }

    fn answer(&mut self, ticket: Ticket) {
        match self.caller(ticket) {
            caller @ Caller::Queued => *caller = Caller::Done,
            _ => self.answered_twice = true,
        }
    }

    /// Forgets what has no effect any more, so that there are fewer states.
    pub(super) fn normalize(&mut self) {
        for (caller, keys) in self.callers.iter().zip(&mut self.keys) {
            if *caller == Caller::Done {
                keys.clear();
            }
        }
        if self.replaced.is_none() && self.machine.running.is_empty() {
            self.machine.last_batch = BatchId(0);
        }
        if self.replaced.is_none() && self.worker.is_none() && self.machine.worker.is_none() {
            self.machine.last_worker = Generation(0);
        }
        if self.machine.oldest() != Some(self.machine.passed.0) {
            self.machine.passed = (Ticket(0), 0);
        }
    }

    pub(super) fn is(&self, is: impl Fn(Caller) -> bool) -> bool {
        self.callers.iter().any(|caller| is(*caller))
    }

    /// Returns whether nothing happens any more unless a caller comes.
    pub(super) fn is_quiet(&self) -> bool {
        let worker = self.worker.as_ref();
        worker.is_none_or(|worker| !worker.woken && worker.batches.is_empty())
            && !self.is(|caller| matches!(caller, Caller::Direct { .. }))
    }

    /// The batches that run, each with its keys.
    pub(super) fn batches(&self) -> impl Iterator<Item = (&Batch, Vec<u64>)> {
        let batches = self.worker.iter().flat_map(|worker| &worker.batches);
        batches.map(|batch| {
            let tickets = batch.tickets.iter();
            let keys =
                tickets.flat_map(|it| &self.keys[usize::try_from(it.0).expect("few tickets") - 1]);
            (batch, keys.copied().collect())
        })
    }

    /// The keys of the requests that their callers make.
    pub(super) fn direct(&self, that_bypass: bool) -> impl Iterator<Item = &Vec<u64>> {
        let callers = self.callers.iter().zip(&self.keys);
        callers.filter_map(move |(caller, keys)| match caller {
            Caller::Direct { bypasses } if *bypasses == that_bypass => Some(keys),
            _ => None,
        })
    }
}
