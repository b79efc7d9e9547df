//! What follows from an event outside of the machine, once the queue is unlocked.

use std::sync::Arc;

use tokio::{sync::oneshot, time::Instant};

use super::{
    machine::{Action, Actions, Event, Generation, Ticket},
    shared::{LOCK_TIMEOUT, Queue, Reply, Shared, Signal, Slot},
    worker,
};
use crate::inventory::{
    batch::job::{Job, Verdict},
    model::Error,
};

/// What has to be done, in this order.
pub(super) struct Effects<J: Job> {
    /// The requests of a batch that was lost.
    doubts: Vec<Arc<J::Request>>,
    replies: Vec<(oneshot::Sender<Reply<J>>, Reply<J>)>,
    wake: Option<Arc<Signal>>,
    spawn: Option<(Generation, Arc<Signal>)>,
    idle: bool,
}

impl<J: Job> Queue<J> {
    /// Takes the payloads of what has to be done. `verdicts`: of the batch that has ended.
    pub(super) fn effects(
        self: &Arc<Self>,
        shared: &mut Shared<J>,
        actions: Actions,
        verdicts: Vec<Verdict<J::Answer>>,
    ) -> Effects<J> {
        let mut verdicts: Vec<_> = verdicts.into_iter().map(Some).collect();
        let mut effects = Effects {
            doubts: Vec::new(),
            replies: Vec::new(),
            wake: None,
            spawn: None,
            idle: false,
        };
        for action in actions {
            match action {
                Action::Spawn(generation) => {
                    let signal = Arc::new(Signal::default());
                    shared.worker = Some(Arc::clone(&signal));
                    effects.spawn = Some((generation, signal));
                }
                Action::Wake => effects.wake.clone_from(&shared.worker),
                Action::Answer { ticket, index } => {
                    let verdict = verdicts.get_mut(index).and_then(Option::take);
                    if let Some(Verdict::Final(answer)) = verdict {
                        effects.reply(shared, ticket, || Reply::Final(answer));
                    }
                }
                Action::Grant { ticket, in_doubt } => {
                    shared.granted.push((ticket, Instant::now()));
                    effects.reply(shared, ticket, || {
                        let slot = Slot::new(self, ticket);
                        Reply::Direct { slot, in_doubt }
                    });
                }
                Action::Refuse { ticket, in_doubt } => {
                    let busy = Error::busy(Some(shared.drained_in().max(LOCK_TIMEOUT)));
                    let refusal = if in_doubt { busy.into_unknown() } else { busy };
                    effects.reply(shared, ticket, || Reply::Final(Err(refusal)));
                }
                Action::Doubt(ticket) => {
                    let payload = shared.payloads.get(&ticket);
                    effects
                        .doubts
                        .extend(payload.map(|it| Arc::clone(&it.request)));
                }
                Action::Forget(ticket) => drop(shared.payloads.remove(&ticket)),
                Action::Idle => effects.idle = true,
                // Answers to who asked: the admission, or the worker.
                Action::Direct
                | Action::Queued
                | Action::Full
                | Action::Closed
                | Action::Start { .. }
                | Action::Rest => {}
            }
        }
        effects
    }
}

impl<J: Job> Effects<J> {
    /// `reply`: made only if there is a caller, as a slot must not be dropped while the queue is locked.
    fn reply(&mut self, shared: &mut Shared<J>, ticket: Ticket, reply: impl FnOnce() -> Reply<J>) {
        if let Some(payload) = shared.payloads.remove(&ticket) {
            self.replies.push((payload.reply, reply()));
        }
    }

    /// Does it. Returns the events that follow, as callers have left meanwhile.
    pub(super) fn carry_out(self, queue: &Arc<Queue<J>>) -> Vec<Event> {
        for request in self.doubts {
            queue.job.lost(&request);
        }
        let mut events = Vec::new();
        for (caller, reply) in self.replies {
            if let Err(Reply::Direct { slot, .. }) = caller.send(reply) {
                events.push(slot.into_event());
            }
        }
        if let Some(worker) = self.wake {
            worker.wake();
        }
        if let Some((generation, signal)) = self.spawn {
            worker::spawn(Arc::clone(queue), generation, signal);
        }
        if self.idle {
            queue.idle.notify_waiters();
        }
        events
    }
}
