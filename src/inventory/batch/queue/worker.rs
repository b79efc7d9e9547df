//! The worker: a task that starts the batches of a queue, and outlives those that panic.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::Poll,
};

use tokio::{
    task::{Id, JoinError, JoinSet, yield_now},
    time::{Instant, sleep_until, timeout},
};

use super::{
    machine::{Action, BatchId, Event, Fate, Generation, Ticket},
    shared::{Queue, SLOW, Signal},
};
use crate::{
    inventory::batch::job::{Job, Verdict, Written},
    postgres::Lease,
};

/// Starts a worker on the runtime of the caller.
pub(super) fn spawn<J: Job>(queue: Arc<Queue<J>>, generation: Generation, signal: Arc<Signal>) {
    let lost = Lost { queue, generation };
    tokio::spawn(async move { run(&lost.queue, lost.generation, signal).await });
}

/// Records that the worker was dropped with its runtime. After an orderly end it has no effect.
struct Lost<J: Job> {
    queue: Arc<Queue<J>>,
    generation: Generation,
}

impl<J: Job> Drop for Lost<J> {
    fn drop(&mut self) {
        self.queue.on(Event::WorkerLost(self.generation));
    }
}

/// A batch that runs in a task of its own.
struct Running {
    task: Id,
    batch: BatchId,
    /// `None` when it is known to be slow.
    slow_at: Option<Instant>,
}

/// The requests of a batch, as the worker starts it.
struct Started<J: Job> {
    batch: BatchId,
    requests: Vec<Arc<J::Request>>,
}

/// The end of a batch, with its connection.
struct Ended<J: Job> {
    written: Option<Written<J::Answer>>,
    began: Instant,
    conn: Option<Lease>,
}

/// What a worker wakes for.
enum Woken<J: Job> {
    Ended(Result<(Id, Ended<J>), JoinError>),
    Slow(BatchId),
    Called,
}

async fn run<J: Job>(queue: &Arc<Queue<J>>, generation: Generation, signal: Arc<Signal>) {
    let mut tasks = JoinSet::new();
    let mut running: Vec<Running> = Vec::new();
    let mut conn: Option<Lease> = None;
    while let Some(started) = queue.take(generation) {
        for Started { batch, requests } in started {
            queue.executor.return_if_wanted(&mut conn);
            let write = write(
                Arc::clone(queue),
                requests,
                conn.take(),
                Arc::clone(&signal),
            );
            running.push(Running {
                task: tasks.spawn(write).id(),
                batch,
                slow_at: Some(Instant::now() + SLOW),
            });
        }
        conn = None; // a connection is kept from one batch to the next, and no longer
        match woken(&mut tasks, &running, &signal).await {
            Woken::Called => {}
            Woken::Slow(batch) => {
                let slow = running.iter_mut().filter(|running| running.batch == batch);
                slow.for_each(|running| running.slow_at = None);
                queue.on(Event::Slow(batch));
            }
            Woken::Ended(ended) => {
                let task = ended.as_ref().map_or_else(JoinError::id, |ended| ended.0);
                let Some(at) = running.iter().position(|running| running.task == task) else {
                    continue;
                };
                let batch = running.swap_remove(at).batch;
                match ended {
                    Ok((_, ended)) => conn = queue.ended(batch, ended),
                    Err(_panicked) => queue.on(Event::Lost(batch)),
                }
                // Callers that have their answer may send another request before the next batch is taken.
                yield_now().await;
            }
        }
    }
}

/// Waits until a batch ends, a batch is slow, or the queue calls.
async fn woken<J: Job>(
    tasks: &mut JoinSet<Ended<J>>,
    running: &[Running],
    signal: &Signal,
) -> Woken<J> {
    let slow = running.iter().filter_map(|running| {
        let slow_at = running.slow_at?;
        Some((slow_at, running.batch))
    });
    let slow = slow.min();
    let mut slow_at = pin!(slow.map(|(at, _)| sleep_until(at)));
    let mut called = pin!(signal.wake.notified());
    poll_fn(|context| {
        if let Poll::Ready(Some(ended)) = tasks.poll_join_next_with_id(context) {
            return Poll::Ready(Woken::Ended(ended));
        }
        if called.as_mut().poll(context).is_ready() {
            return Poll::Ready(Woken::Called);
        }
        if let (Some(sleep), Some((_, batch))) = (slow_at.as_mut().as_pin_mut(), slow)
            && sleep.poll(context).is_ready()
        {
            return Poll::Ready(Woken::Slow(batch));
        }
        Poll::Pending
    })
    .await
}

/// Writes a batch within its time limit.
async fn write<J: Job>(
    queue: Arc<Queue<J>>,
    requests: Vec<Arc<J::Request>>,
    mut conn: Option<Lease>,
    signal: Arc<Signal>,
) -> Ended<J> {
    let began = Instant::now();
    let written = {
        let mut write = queue.job.write(&mut conn, &requests);
        let unless_replaced = poll_fn(|context| match signal.replaced.load(Relaxed) {
            true => Poll::Ready(None),
            false => write.as_mut().poll(context).map(Some),
        });
        timeout(queue.time_limit, unless_replaced).await.ok()
    };
    let written = written.flatten();
    if written.is_none()
        && let Some(lease) = conn.take()
    {
        lease.close();
    }
    Ended {
        written,
        began,
        conn,
    }
}

impl<J: Job> Queue<J> {
    /// Returns the batches that the worker has to start; `None` if it has to end.
    fn take(self: &Arc<Self>, generation: Generation) -> Option<Vec<Started<J>>> {
        self.progress.fetch_add(1, Relaxed);
        let mut shared = self.shared();
        let mut actions = shared.machine.on(Event::Take(generation));
        let (mut started, mut rests) = (Vec::new(), false);
        actions.retain(|action| match action {
            Action::Start { batch, tickets } => {
                self.metrics.batch(tickets.len());
                let request = |ticket: &Ticket| {
                    let payload = shared.payloads.get(ticket)?;
                    self.metrics.waited(payload.since);
                    Some(Arc::clone(&payload.request))
                };
                let requests = tickets.iter().filter_map(request).collect();
                let batch = *batch;
                started.push(Started { batch, requests });
                false
            }
            Action::Rest => {
                rests = true;
                false
            }
            _ => true,
        });
        self.metrics.depth(shared.machine.depth());
        let effects = self.effects(&mut shared, actions, Vec::new());
        drop(shared);
        for event in effects.carry_out(self) {
            self.on(event);
        }
        (!rests).then_some(started)
    }

    /// Answers the requests of a batch. Returns its connection, for the next one.
    fn ended(self: &Arc<Self>, batch: BatchId, ended: Ended<J>) -> Option<Lease> {
        let Some(Written { verdicts, blocked }) = ended.written else {
            self.on(Event::Lost(batch));
            return None;
        };
        self.progress.fetch_add(1, Relaxed);
        let fate = |verdict: &Verdict<J::Answer>| match verdict {
            Verdict::Final(_) => Fate::Final,
            Verdict::Bypass { in_doubt } => Fate::Bypass {
                in_doubt: *in_doubt,
            },
            Verdict::Again => Fate::Again,
        };
        let fates = verdicts.iter().map(fate).collect();
        let took = ended.began.elapsed();
        self.metrics.took(took);
        let mut shared = self.shared();
        shared.rate.record(verdicts.len(), took);
        let actions = shared.machine.on(Event::Ended {
            batch,
            fates,
            blocked,
        });
        let effects = self.effects(&mut shared, actions, verdicts);
        // A shutdown returns when the last answer is there.
        let conn = ended.conn.filter(|_| !shared.machine.is_closed());
        drop(shared);
        for event in effects.carry_out(self) {
            self.on(event);
        }
        conn
    }
}
