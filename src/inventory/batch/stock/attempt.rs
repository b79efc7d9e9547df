//! One attempt of a batch: planned from known facts, or under locks.

use std::{collections::HashSet, sync::atomic::Ordering::Relaxed};

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use super::{
    Stock,
    known::{Held, Known},
    plan::{self, Outcome, Plan},
    read,
    request::{Answer, Request},
    write::{self, Sent},
};
use crate::{
    Attempt, Class, Classify,
    inventory::model::{Error, Hold, HoldState, Order, OrderLine, Reservation, Reserve},
    postgres::{Failed, Lease, Work},
};

/// The answers to the requests that a batch made, each with the index of its request.
pub(super) type Answers = Vec<(usize, Answer)>;

/// The error of a batch, and the indexes of the requests that were sent.
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

/// Plans the batch from known facts and sends it. Returns `None` if a row has changed since.
pub(super) async fn planned(
    stock: &Stock,
    conn: &mut Option<Lease>,
    requests: &[&Request],
    careful: bool,
) -> Result<Option<Answers>, FailedBatch> {
    let mut known = stock.memory.of(requests);
    let conn = match conn {
        Some(conn) => conn,
        None => conn.insert(stock.inventory.executor().acquire().await?),
    };
    read::missing(conn, requests, &mut known).await?;
    let taken = if careful {
        read::taken(conn, requests).await?
    } else {
        HashSet::new()
    };
    let plan = plan_of(requests, &known, &taken);
    // As if it were written: the next batch is planned before this one has its answer.
    stock.memory.learn(plan.after.clone());
    let refused = indexes_without(&plan, requests.len());
    stock.memory.forget(refused.map(|index| requests[index]));
    let written = send(stock, conn, requests, &plan).await;
    if careful && matches!(written, Ok(Some(_))) && taken.is_empty() {
        stock.careful.store(false, Relaxed);
    }
    written.map_err(|error| {
        let class = error.class();
        FailedBatch {
            error: Failed::new(error, class),
            sent: sent(&plan),
        }
    })
}

/// Locks the rows, plans the batch and writes it, in one transaction.
pub(super) async fn locked(
    stock: &Stock,
    requests: &[&Request],
) -> Result<Option<Answers>, FailedBatch> {
    let work: Work<'_, '_, Result<Option<Answers>, Error>> = &|conn, _| {
        Box::pin(async move {
            let known = read::locked(conn, requests).await?;
            let taken = read::taken(conn, requests).await?;
            let plan = plan_of(requests, &known, &taken);
            send(stock, conn, requests, &plan).await
        })
    };
    let executor = stock.inventory.executor();
    let written = executor.locking_attempt(Attempt::FIRST, work).await;
    written.map_err(|error| FailedBatch {
        error,
        sent: (0..requests.len()).collect(),
    })
}

/// Plans the requests whose ids and keys are not taken.
fn plan_of<'a>(requests: &[&'a Request], known: &'a Known, taken: &HashSet<Uuid>) -> Plan<'a> {
    let is_new = |request: &Request| match request {
        Request::Checkout(request) => !taken.contains(&request.id.uuid()),
        Request::Reserve(request) => !taken.contains(&request.id.uuid()),
        Request::Return(request, _) => !taken.contains(&request.id),
        Request::Cancel(..) | Request::Extend { .. } | Request::Release(_) => true,
    };
    plan::plan(requests, known, is_new)
}

async fn send(
    stock: &Stock,
    conn: &mut PgConnection,
    requests: &[&Request],
    plan: &Plan<'_>,
) -> Result<Option<Answers>, Error> {
    let doubts = || {
        let accepted = plan.accepted.iter();
        accepted.filter_map(|it| Some((requests[it.index].doubt()?, &it.outcome)))
    };
    if plan.changes.is_empty() {
        return Ok(Some(answers(plan, DateTime::UNIX_EPOCH)));
    }
    for (doubt, outcome) in doubts() {
        if let Outcome::Changed { before, .. } = outcome {
            doubt.send(*before);
        }
    }
    let result = write::write(conn, &plan.changes).await;
    if !matches!(&result, Err(error) if error.class() == Class::Unknown) {
        for (doubt, _) in doubts() {
            doubt.begin();
        }
    }
    match result {
        Ok(Sent::Written { at, before }) => {
            stock.memory.learn(facts_after(plan, before, at));
            Ok(Some(answers(plan, at)))
        }
        Ok(Sent::Stale(before)) => {
            forget(stock, requests, plan);
            stock.memory.learn(before);
            Ok(None)
        }
        Err(error) => {
            forget(stock, requests, plan);
            Err(error)
        }
    }
}

fn forget(stock: &Stock, requests: &[&Request], plan: &Plan<'_>) {
    let planned = plan.accepted.iter();
    stock.memory.forget(planned.map(|it| requests[it.index]));
}

/// Returns the indexes of the requests that were sent.
fn sent(plan: &Plan<'_>) -> Vec<usize> {
    let accepted = plan.accepted.iter();
    let sent = accepted.filter(|it| !matches!(it.outcome, Outcome::Replayed(_)));
    sent.map(|it| it.index).collect()
}

fn indexes_without(plan: &Plan<'_>, requests: usize) -> impl Iterator<Item = usize> {
    let accepted: HashSet<usize> = plan.accepted.iter().map(|it| it.index).collect();
    (0..requests).filter(move |index| !accepted.contains(index))
}

/// Returns the facts of the rows after the batch.
fn facts_after(plan: &Plan<'_>, before: Known, at: DateTime<Utc>) -> Known {
    let mut after = before;
    for (sku, change) in &plan.changes.products {
        if let Some(facts) = after.products.get_mut(*sku) {
            facts.available += change.stock - change.reserved;
            match facts.version.plus(change.changes) {
                Some(version) => facts.version = version,
                None => drop(after.products.remove(*sku)),
            }
        }
    }
    for (id, held) in &plan.after.reservations {
        let mut held = held.clone();
        extend(&mut held.reservation, plan, at);
        held.as_of = at;
        after.reservations.insert(*id, held);
    }
    for request in &plan.changes.reservations {
        let held = Held {
            reservation: made(request, at),
            remaining: request.lines.iter().map(|(_, units)| units.get()).sum(),
            as_of: at,
        };
        after.reservations.insert(request.id, held);
    }
    after
}

/// Moves the expiry of the holds that the batch extended.
fn extend(reservation: &mut Reservation, plan: &Plan<'_>, at: DateTime<Utc>) {
    for hold in &mut reservation.holds {
        let changed = plan.changes.changed_holds.get(&(&hold.sku, reservation.id));
        if let Some(change) = changed
            && !change.extension.is_zero()
        {
            hold.expires_at = hold.expires_at.max(at + change.extension);
        }
    }
}

fn made(request: &Reserve, at: DateTime<Utc>) -> Reservation {
    let holds = request.lines.iter();
    let holds = holds.map(|(sku, units)| Hold::new(sku.clone(), *units, at + request.duration));
    let mut reservation = Reservation::new(request.id, holds.collect(), at);
    reservation.customer.clone_from(&request.customer);
    reservation
}

fn answers(plan: &Plan<'_>, at: DateTime<Utc>) -> Answers {
    let accepted = plan.accepted.iter();
    let answered = accepted.filter_map(|it| Some((it.index, answer(&it.outcome, plan, at)?)));
    answered.collect()
}

fn answer(outcome: &Outcome<'_>, plan: &Plan<'_>, at: DateTime<Utc>) -> Option<Answer> {
    Some(match outcome {
        Outcome::Sold { request, prices } => {
            let lines = request.lines.iter().zip(prices);
            let lines =
                lines.map(|(line, price)| OrderLine::new(line.sku.clone(), line.quantity, *price));
            // `None` for a total that is too large, which the plan has excluded.
            let mut order = Order::new(request.id, lines.collect(), at)?;
            order.customer.clone_from(&request.customer);
            Answer::Order(order)
        }
        Outcome::Reserved(request) => Answer::Reservation(made(request, at)),
        Outcome::Extended(held) => {
            let mut reservation = held.reservation.clone();
            extend(&mut reservation, plan, at);
            for hold in &mut reservation.holds {
                if hold.state == HoldState::Held && hold.expires_at <= at {
                    hold.state = HoldState::Expired;
                }
            }
            Answer::Reservation(reservation)
        }
        Outcome::Released => Answer::Released,
        Outcome::Changed { after, .. } | Outcome::Replayed(after) => Answer::Order(after.clone()),
    })
}
