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
    inventory::batch::{
        connection::{Connection, Successor},
        job::{Job, Verdict, Written},
    },
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
    successor: Successor,
    /// `None` when it is known to be slow.
    slow_at: Option<Instant>,
}

/// The requests of a batch, as the worker starts it.
struct Started<J: Job> {
    batch: BatchId,
    follows: Option<BatchId>,
    requests: Vec<Arc<J::Request>>,
}

/// The end of a batch, with its connection.
struct Ended<J: Job> {
    written: Option<Written<J::Answer>>,
    began: Instant,
    conn: Connection,
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
    let mut spare: Vec<Lease> = Vec::new();
    while let Some(started) = queue.take(generation) {
        if queue.executor.is_pool_wanted() {
            spare.clear();
        }
        for Started {
            batch,
            follows,
            requests,
        } in started
        {
            let before = running.iter().find(|it| Some(it.batch) == follows);
            let conn = match before {
                Some(before) => before.successor.enter(),
                None => Connection::new(spare.pop()),
            };
            let successor = conn.successor();
            let write = Write {
                queue: Arc::clone(queue),
                requests,
                conn,
                signal: Arc::clone(&signal),
            };
            running.push(Running {
                task: tasks.spawn(write.run()).id(),
                batch,
                successor,
                slow_at: Some(Instant::now() + SLOW),
            });
        }
        // Connections are kept from one batch to the next, and no longer.
        if running.is_empty() || queue.executor.is_pool_wanted() {
            spare.clear();
        }
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
                    Ok((_, ended)) => {
                        if let Some(mut conn) = queue.ended(batch, ended) {
                            // To a batch that has begun to wait since.
                            conn.hand_over(&queue.executor);
                            spare.extend(conn.take());
                        }
                    }
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

/// A batch to be written.
struct Write<J: Job> {
    queue: Arc<Queue<J>>,
    requests: Vec<Arc<J::Request>>,
    conn: Connection,
    signal: Arc<Signal>,
}

impl<J: Job> Write<J> {
    /// Writes the batch within its time limit.
    async fn run(self) -> Ended<J> {
        let Self {
            queue,
            requests,
            mut conn,
            signal,
        } = self;
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
        conn.hand_over(&queue.executor);
        Ended {
            written,
            began,
            conn,
        }
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
            Action::Start {
                batch,
                tickets,
                follows,
            } => {
                self.metrics.batch(tickets.len());
                let request = |ticket: &Ticket| {
                    let payload = shared.payloads.get(ticket)?;
                    self.metrics.waited(payload.since);
                    Some(Arc::clone(&payload.request))
                };
                let requests = tickets.iter().filter_map(request).collect();
                started.push(Started {
                    batch: *batch,
                    follows: *follows,
                    requests,
                });
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
    fn ended(self: &Arc<Self>, batch: BatchId, ended: Ended<J>) -> Option<Connection> {
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
        let conn = (!shared.machine.is_closed()).then_some(ended.conn);
        drop(shared);
        for event in effects.carry_out(self) {
            self.on(event);
        }
        conn
    }
}
