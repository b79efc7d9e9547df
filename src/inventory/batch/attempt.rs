//! One attempt of a batch of checkouts: planned from the facts of the last answers, or under locks.

use std::sync::{
    Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{
    plan::{self, Known, Plan},
    write::{self, BatchOutcome},
};
use crate::{
    Attempt, Classify,
    inventory::{
        model::{Checkout, Error, Order, Sku},
        postgres::PgInventory,
    },
    postgres::{Failed, Lease},
};

/// The most products whose facts are kept between batches.
const MAX_KNOWN: usize = 100_000;

/// What the batches of one queue share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) inventory: PgInventory,
    /// The facts of the products that the last answers of the database contained.
    pub(super) known: Mutex<Known>,
    /// The last batch contained an order that already exists.
    pub(super) careful: AtomicBool,
}

/// The orders that a batch created, each with the index of its request.
pub(super) type Created = Vec<(usize, Order)>;

/// The error of a batch, and the indexes of the requests whose orders were sent.
pub(super) struct FailedBatch {
    pub(super) error: Failed<Error>,
    pub(super) sent: Vec<usize>,
}

impl From<Error> for FailedBatch {
    /// Converts an error from before anything was sent.
    fn from(error: Error) -> Self {
        let (error, sent) = (Failed::before_commit(error), Vec::new());
        Self { error, sent }
    }
}

/// Plans the batch from known facts and sends it. Returns `None` if a product has changed since.
pub(super) async fn planned(
    shared: &Shared,
    conn: &mut Option<Lease>,
    requests: &[&Checkout],
    careful: bool,
) -> Result<Option<Created>, FailedBatch> {
    let (mut known, unknown) = facts_of(shared, requests);
    let conn = match conn {
        Some(conn) => conn,
        None => conn.insert(shared.inventory.executor().acquire().await?),
    };
    if !unknown.is_empty() {
        write::read(conn, &unknown, &mut known).await?;
    }
    let plan = plan::plan(requests, &known);
    let written = if plan.accepted.is_empty() {
        Ok(Some(Vec::new()))
    } else {
        let outcome = write::write(conn, &plan, careful, &mut known).await;
        if let Ok(BatchOutcome::Written { left_out, .. }) = &outcome
            && left_out.is_empty()
            && careful
        {
            shared.careful.store(false, Relaxed);
        }
        outcome.map(|outcome| created(&plan, outcome))
    };
    store_facts(shared, requests, known, &plan);
    written.map_err(|error| {
        let class = error.class();
        FailedBatch {
            error: Failed::new(error, class),
            sent: plan.accepted.iter().map(|it| it.index).collect(),
        }
    })
}

/// Locks the products, plans the batch and writes it, in one transaction.
pub(super) async fn locked(
    shared: &Shared,
    requests: &[&Checkout],
) -> Result<Option<Created>, FailedBatch> {
    let lines = requests.iter().flat_map(|request| &request.lines);
    let mut skus: Vec<&Sku> = lines.map(|line| &line.sku).collect();
    skus.sort_unstable();
    skus.dedup();
    let skus = &skus;
    shared
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
                let outcome = write::write(conn, &plan, true, &mut known).await?;
                Ok(created(&plan, outcome))
            })
        })
        .await
        .map_err(|error| FailedBatch {
            error,
            sent: (0..requests.len()).collect(),
        })
}

fn known(shared: &Shared) -> MutexGuard<'_, Known> {
    shared.known.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the known facts of the products of these requests, and the products whose facts are unknown.
fn facts_of<'a>(shared: &Shared, requests: &[&'a Checkout]) -> (Known, Vec<&'a Sku>) {
    let all = known(shared);
    let (mut some, mut unknown) = (Known::new(), Vec::new());
    for line in requests.iter().flat_map(|request| &request.lines) {
        if some.contains_key(&line.sku) {
            continue;
        }
        match all.get(&line.sku) {
            Some(facts) => drop(some.insert(line.sku.clone(), *facts)),
            None => unknown.push(&line.sku),
        }
    }
    unknown.sort_unstable();
    unknown.dedup();
    (some, unknown)
}

/// Keeps what the attempt learnt for the next batch. The products of requests that the plan did not accept are
/// forgotten, as the refusal may come from stale facts: the next batch reads them again.
fn store_facts(shared: &Shared, requests: &[&Checkout], learnt: Known, plan: &Plan<'_>) {
    let mut all = known(shared);
    if all.len() + learnt.len() > MAX_KNOWN {
        all.clear();
    }
    all.extend(learnt);
    let mut accepted = plan.accepted.iter().map(|it| it.index).peekable();
    for (index, request) in requests.iter().enumerate() {
        if accepted.next_if_eq(&index).is_none() {
            for line in &request.lines {
                all.remove(&line.sku);
            }
        }
    }
}

fn created(plan: &Plan<'_>, outcome: BatchOutcome) -> Option<Created> {
    match outcome {
        BatchOutcome::Written {
            created_at,
            left_out,
        } => Some(orders(plan, created_at, &left_out)),
        BatchOutcome::Stale => None,
    }
}

fn orders(plan: &Plan<'_>, created_at: DateTime<Utc>, left_out: &[Uuid]) -> Created {
    let accepted = plan.accepted.iter();
    accepted
        .filter(|accepted| !left_out.contains(&accepted.request.id.uuid()))
        .filter_map(|accepted| {
            // `None` for a total that is too large, which the plan has excluded.
            let mut order = Order::new(accepted.request.id, accepted.lines(), created_at)?;
            order.customer.clone_from(&accepted.request.customer);
            Some((accepted.index, order))
        })
        .collect()
}
