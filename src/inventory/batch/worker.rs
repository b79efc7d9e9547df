//! A worker: batch after batch, until nobody waits.

use std::{
    sync::{Arc, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
    time::Duration,
};

use chrono::{DateTime, Utc};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::{
    plan::{self, Known, Plan},
    queue::{Answer, Queue, Shift, Waiting},
    write::{self, Written},
};
use crate::{
    Attempt, Class, Classify,
    inventory::model::{Checkout, Error, Order, Sku},
    postgres::{Failed, Lease, OfSqlx},
};

/// More products than this are not remembered between batches.
const REMEMBERED: usize = 100_000;

/// How long a batch waits for its locks, as its statement says.
const LOCKS_WITHIN: Duration = Duration::from_millis(500);

pub(super) async fn work(mut shift: Shift) {
    let mut conn = None;
    while let Some(batch) = shift.next() {
        let (began, count) = (Instant::now(), batch.len());
        serve(shift.queue(), &mut conn, batch).await;
        shift.served(count, began);
        shift
            .queue()
            .inventory
            .executor()
            .return_if_wanted(&mut conn);
        // Who was answered may come again before the next batch is taken.
        tokio::task::yield_now().await;
    }
}

async fn serve(queue: &Arc<Queue>, conn: &mut Option<Lease>, mut batch: Vec<Waiting>) {
    if batch.len() == 1
        && !queue.options.always
        && let Some(only) = batch.pop()
    {
        *conn = None; // it takes one itself
        let one = tokio::spawn(serve_one(Arc::clone(queue), only));
        if timeout(LOCKS_WITHIN, one).await.is_err() {
            queue.part(); // it goes on by itself
        }
        return;
    }
    let mut open: Vec<Option<Waiting>> = batch.into_iter().map(Some).collect();
    let requests: Vec<Arc<Checkout>> = requests(&open);
    let requests: Vec<&Checkout> = requests.iter().map(|request| &**request).collect();
    // Twice as planned from what is known, and then under locks.
    let mut doubtful = Vec::new();
    for attempt in 1..=3 {
        let sold = if attempt < 3 {
            let careful = attempt > 1 || queue.careful.load(Relaxed);
            try_at_once(queue, conn, &requests, careful).await
        } else {
            *conn = None;
            try_locked(queue, &requests).await
        };
        match sold {
            Ok(Some(sold)) => {
                for (index, order) in sold {
                    if let Some(waiting) = open[index].take() {
                        drop(waiting.answer.send(Answer::Here(Ok(order))));
                    }
                }
                break;
            }
            Ok(None) => {}
            Err(Lost { error, sent }) => {
                if let Some(mut lease) = conn.take() {
                    lease.recover(error.error.refusal()).await;
                }
                match error.class {
                    // A key that is taken, most likely, and where there is one there are more.
                    Class::Conflict => queue.careful.store(true, Relaxed),
                    Class::Unknown => doubtful = sent,
                    _ if error.error.is_lock_timeout() => queue.part(),
                    _ => {}
                }
                if error.class != Class::Conflict {
                    break;
                }
            }
        }
    }
    for (index, waiting) in open.into_iter().enumerate() {
        if let Some(waiting) = waiting {
            let in_doubt = doubtful.contains(&index);
            drop(waiting.answer.send(Answer::Alone { in_doubt }));
        }
    }
}

/// A batch that failed, and those of it whose orders had been sent.
struct Lost {
    error: Failed<Error>,
    sent: Vec<usize>,
}

impl From<Error> for Lost {
    fn from(error: Error) -> Self {
        // Nothing was sent yet.
        let (error, sent) = (Failed::before_commit(error), Vec::new());
        Self { error, sent }
    }
}

fn requests(open: &[Option<Waiting>]) -> Vec<Arc<Checkout>> {
    open.iter()
        .flatten()
        .map(|waiting| Arc::clone(&waiting.request))
        .collect()
}

/// As without a queue: a statement of its own.
async fn serve_one(queue: Arc<Queue>, waiting: Waiting) {
    let _alone = queue.let_go(&waiting.request);
    let answer = match queue.inventory.sale(&waiting.request).once().await {
        Ok(order) => Answer::Here(Ok(order)),
        Err(refused) if refused.class == Class::Permanent => Answer::Here(Err(refused.error)),
        Err(failed) => Answer::Alone {
            in_doubt: failed.class == Class::Unknown,
        },
    };
    drop(waiting.answer.send(answer));
}

/// The orders that were made, and whose they are.
type Sold = Vec<(usize, Order)>;

fn known(queue: &Queue) -> MutexGuard<'_, Known> {
    queue.known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is known of these products, and those of which nothing is.
fn recall<'a>(queue: &Queue, requests: &[&'a Checkout]) -> (Known, Vec<&'a Sku>) {
    let all = known(queue);
    let (mut some, mut cold) = (Known::new(), Vec::new());
    for line in requests.iter().flat_map(|request| &request.lines) {
        if some.contains_key(&line.sku) {
            continue;
        }
        match all.get(&line.sku) {
            Some(facts) => drop(some.insert(line.sku.clone(), *facts)),
            None => cold.push(&line.sku),
        }
    }
    cold.sort_unstable();
    cold.dedup();
    (some, cold)
}

fn remember(queue: &Queue, requests: &[&Checkout], learnt: Known, plan: &Plan<'_>) {
    let mut all = known(queue);
    if all.len() + learnt.len() > REMEMBERED {
        all.clear();
    }
    all.extend(learnt);
    // Who was refused was so by what may be old: it is read anew for the next one.
    let mut accepted = plan.accepted.iter().map(|it| it.index).peekable();
    for (index, request) in requests.iter().enumerate() {
        if accepted.next_if_eq(&index).is_none() {
            for line in &request.lines {
                all.remove(&line.sku);
            }
        }
    }
}

async fn try_at_once(
    queue: &Queue,
    conn: &mut Option<Lease>,
    requests: &[&Checkout],
    careful: bool,
) -> Result<Option<Sold>, Lost> {
    let (mut known, cold) = recall(queue, requests);
    let conn = match conn {
        Some(conn) => conn,
        None => conn.insert(queue.inventory.executor().acquire().await?),
    };
    if !cold.is_empty() {
        write::read(conn, &cold, &mut known).await?;
    }
    let plan = plan::plan(requests, &known);
    let written = if plan.accepted.is_empty() {
        Ok(Some(Vec::new()))
    } else {
        let written = write::write(conn, &plan, careful, &mut known).await;
        if let Ok(Written::All { left_out, .. }) = &written
            && left_out.is_empty()
            && careful
        {
            queue.careful.store(false, Relaxed);
        }
        written.map(|written| sold(&plan, written))
    };
    remember(queue, requests, known, &plan);
    written.map_err(|error| {
        let class = error.class();
        Lost {
            error: Failed::new(error, class),
            sent: plan.accepted.iter().map(|it| it.index).collect(),
        }
    })
}

/// In a transaction that locks all of its products first.
async fn try_locked(queue: &Queue, requests: &[&Checkout]) -> Result<Option<Sold>, Lost> {
    let lines = requests.iter().flat_map(|request| &request.lines);
    let mut skus: Vec<&Sku> = lines.map(|line| &line.sku).collect();
    skus.sort_unstable();
    skus.dedup();
    let skus = &skus;
    queue
        .inventory
        .executor()
        .locking_attempt(Attempt::FIRST, &|conn, _| {
            Box::pin(async move {
                let mut known = Known::new();
                write::lock(conn, skus, &mut known).await?;
                let plan = plan::plan(requests, &known);
                if plan.accepted.is_empty() {
                    return Ok(Some(Vec::new()));
                }
                let written = write::write(conn, &plan, true, &mut known).await?;
                Ok(sold(&plan, written))
            })
        })
        .await
        .map_err(|error| Lost {
            error,
            sent: (0..requests.len()).collect(),
        })
}

fn sold(plan: &Plan<'_>, written: Written) -> Option<Sold> {
    let Written::All {
        created_at,
        left_out,
    } = written
    else {
        return None;
    };
    Some(made(plan, created_at, &left_out))
}

fn made(plan: &Plan<'_>, created_at: DateTime<Utc>, left_out: &[Uuid]) -> Sold {
    let made = plan.accepted.iter();
    made.filter(|accepted| !left_out.contains(&accepted.request.id.uuid()))
        .filter_map(|accepted| {
            // Its total was found to fit.
            let mut order = Order::new(accepted.request.id, accepted.lines(), created_at)?;
            order.customer.clone_from(&accepted.request.customer);
            Some((accepted.index, order))
        })
        .collect()
}
