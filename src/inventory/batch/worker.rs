//! The worker: writes batch after batch until the queue is empty.

use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use tokio::time::{Instant, timeout};

use super::{
    attempt::{self, FailedBatch},
    queue::{Answer, Queue, Queued},
};
use crate::{
    Class,
    inventory::model::Checkout,
    postgres::{Lease, OfSqlx},
};

/// How long a batch waits for its locks, as its statement sets it.
const LOCK_TIMEOUT: Duration = Duration::from_millis(500);

/// The one task that takes batches from a queue. If it panics, another one takes over.
#[derive(Debug)]
pub(super) struct Worker {
    queue: Arc<Queue>,
    ended: bool,
}

impl Worker {
    pub(super) const fn new(queue: Arc<Queue>) -> Self {
        let ended = false;
        Self { queue, ended }
    }

    /// Takes the next batch; `None` when the queue is empty and this worker has ended.
    pub(super) fn next_batch(&mut self) -> Option<Vec<Queued>> {
        let batch = self.queue.take_batch();
        self.ended = batch.is_none();
        batch
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if !self.ended && self.queue.worker_ended_early(std::thread::panicking()) {
            spawn(Arc::clone(&self.queue));
        }
    }
}

pub(super) fn spawn(queue: Arc<Queue>) {
    tokio::spawn(run(Worker::new(queue)));
}

async fn run(mut worker: Worker) {
    let mut conn = None;
    while let Some(batch) = worker.next_batch() {
        let queue = &worker.queue;
        let (began, count) = (Instant::now(), batch.len());
        write_batch(queue, &mut conn, batch).await;
        queue.record_rate(count, began);
        queue.inventory.executor().return_if_wanted(&mut conn);
        // Callers that have their answer may send another request before the next batch is taken.
        tokio::task::yield_now().await;
    }
}

async fn write_batch(queue: &Arc<Queue>, conn: &mut Option<Lease>, mut batch: Vec<Queued>) {
    if batch.len() == 1
        && !queue.options.always
        && let Some(only) = batch.pop()
    {
        *conn = None; // a direct checkout acquires its own connection
        let single = tokio::spawn(write_single(Arc::clone(queue), only));
        if timeout(LOCK_TIMEOUT, single).await.is_err() {
            queue.bypass_for_a_while(); // the task continues
        }
        return;
    }
    let mut open: Vec<Option<Queued>> = batch.into_iter().map(Some).collect();
    let requests = open.iter().flatten();
    let requests: Vec<Arc<Checkout>> = requests.map(|it| Arc::clone(&it.request)).collect();
    let requests: Vec<&Checkout> = requests.iter().map(|request| &**request).collect();
    // Two attempts are planned from known facts; the third one locks the products.
    let mut in_doubt = Vec::new();
    for number in 1..=3 {
        let created = if number < 3 {
            let careful = number > 1 || queue.careful.load(Relaxed);
            attempt::planned(queue, conn, &requests, careful).await
        } else {
            *conn = None;
            attempt::locked(queue, &requests).await
        };
        match created {
            Ok(Some(created)) => {
                for (index, order) in created {
                    if let Some(queued) = open[index].take() {
                        drop(queued.answer.send(Answer::Final(Ok(order))));
                    }
                }
                break;
            }
            Ok(None) => {}
            Err(FailedBatch { error, sent }) => {
                if let Some(mut lease) = conn.take() {
                    lease.recover(error.error.refusal()).await;
                }
                match error.class {
                    // Most likely an idempotency key that is taken, and more of them may follow.
                    Class::Conflict => queue.careful.store(true, Relaxed),
                    Class::Unknown => in_doubt = sent,
                    _ if error.error.is_lock_timeout() => queue.bypass_for_a_while(),
                    _ => {}
                }
                if error.class != Class::Conflict {
                    break;
                }
            }
        }
    }
    for (index, queued) in open.into_iter().enumerate() {
        if let Some(queued) = queued {
            let in_doubt = in_doubt.contains(&index);
            drop(queued.answer.send(Answer::Bypass { in_doubt }));
        }
    }
}

/// Writes the only request of a batch by a direct checkout.
async fn write_single(queue: Arc<Queue>, queued: Queued) {
    let _direct = queue.bypass(&queued.request);
    let answer = match queue.inventory.sale(&queued.request).once().await {
        Ok(order) => Answer::Final(Ok(order)),
        Err(refused) if refused.class == Class::Permanent => Answer::Final(Err(refused.error)),
        Err(failed) => Answer::Bypass {
            in_doubt: failed.class == Class::Unknown,
        },
    };
    drop(queued.answer.send(answer));
}
