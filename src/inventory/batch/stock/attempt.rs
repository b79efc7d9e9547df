//! One attempt of a batch: planned from known facts, or under locks.

use std::{collections::HashSet, sync::atomic::Ordering::Relaxed};

use chrono::DateTime;
use uuid::Uuid;

use super::{
    answers::{Answers, accepted, answers, facts_after},
    known::Known,
    plan::{self, Outcome, Plan},
    read,
    request::Request,
    shared::Shared,
    trace::Trace,
    write::{self, Sent},
};
use crate::{
    Attempt, Class, Classify,
    inventory::{
        batch::connection::{AttemptConnection, Connection},
        model::Error,
        postgres::{executor::Work, hook::BatchAnswer, orders::doubt::Doubt},
    },
    postgres::Failed,
};

/// Plans the batch from known facts and sends it: in a transaction if the hook of the host runs with it. Returns
/// `None` if a row has changed since.
pub(super) async fn planned(
    shared: &Shared,
    conn: &mut Connection,
    requests: &[&Request],
    careful: bool,
    trace: &Trace,
) -> Result<Option<Answers>, Failed<Error>> {
    let executor = shared.inventory.executor();
    let sells = |request: &&Request| matches!(request, Request::Checkout(..));
    if shared.inventory.effects().hook.is_some() && requests.iter().any(sells) {
        let work: Work<'_, '_, _> = &|conn, _| {
            let conn = AttemptConnection::Begun(conn.reborrow());
            Box::pin(from_memory(shared, conn, requests, careful, trace))
        };
        let lease = conn.get(executor).await?;
        let written = executor.locking_attempt_on(lease, Attempt::FIRST, work);
        return written.await;
    }
    let conn = AttemptConnection::OfBatch(conn, executor);
    let written = from_memory(shared, conn, requests, careful, trace).await;
    written.map_err(|error| {
        let class = error.class();
        Failed::new(error, class)
    })
}

/// Locks the rows, plans the batch and writes it, in one transaction.
pub(super) async fn locked(
    shared: &Shared,
    requests: &[&Request],
    trace: &Trace,
) -> Result<Option<Answers>, Failed<Error>> {
    let work: Work<'_, '_, Result<Option<Answers>, Error>> = &|conn, _| {
        Box::pin(async move {
            let known = read::locked(conn, requests).await?;
            let taken = read::taken(conn, requests).await?;
            let plan = plan_of(requests, &known, &taken);
            let conn = AttemptConnection::Begun(conn.reborrow());
            send(shared, conn, requests, &plan, trace).await
        })
    };
    let executor = shared.inventory.executor();
    executor.locking_attempt(Attempt::FIRST, work).await
}

async fn from_memory(
    shared: &Shared,
    mut conn: AttemptConnection<'_>,
    requests: &[&Request],
    careful: bool,
    trace: &Trace,
) -> Result<Option<Answers>, Error> {
    let mut known = shared.memory.of(requests);
    read::missing(&mut conn, requests, &mut known).await?;
    let taken = if careful {
        read::taken(&mut conn.get().await?, requests).await?
    } else {
        HashSet::new()
    };
    let plan = plan_of(requests, &known, &taken);
    if plan.accepted.len() < requests.len() {
        // The others may be refused together, which takes the connection also if nothing is written.
        conn.get().await?;
    }
    // As if it were written: the next batch is planned before this one has its answer.
    shared.memory.learn(plan.after.clone());
    let rejected = indexes_without(&plan, requests.len());
    shared.memory.forget(rejected.map(|index| requests[index]));
    let written = send(shared, conn, requests, &plan, trace).await;
    if careful && taken.is_empty() && matches!(written, Ok(Some(_))) {
        shared.careful.store(false, Relaxed);
    }
    written
}

/// Plans the requests whose ids and keys are not taken.
fn plan_of<'a>(requests: &[&'a Request], known: &'a Known, taken: &HashSet<Uuid>) -> Plan<'a> {
    let is_new = |request: &Request| match request {
        Request::Checkout(request, _) => !taken.contains(&request.id.uuid()),
        Request::Reserve(request) => !taken.contains(&request.id.uuid()),
        Request::Return(request, _) => !taken.contains(&request.id),
        Request::Cancel(..) | Request::Extend { .. } | Request::Release(_) => true,
    };
    plan::plan(requests, known, is_new)
}

async fn send(
    shared: &Shared,
    mut conn: AttemptConnection<'_>,
    requests: &[&Request],
    plan: &Plan<'_>,
    trace: &Trace,
) -> Result<Option<Answers>, Error> {
    if plan.changes.is_empty() {
        return Ok(Some(answers(plan, DateTime::UNIX_EPOCH)));
    }
    for it in &plan.accepted {
        if let Outcome::Changed { before, .. } = &it.outcome
            && let Some(doubt) = requests[it.index].doubt()
        {
            doubt.send(*before);
        }
    }
    trace.send(sent(plan));
    let written = written(shared, &mut conn, requests, plan, trace).await;
    if !matches!(&written, Err(error) if error.class() == Class::Unknown) {
        let doubts = plan.accepted.iter();
        let doubts = doubts.filter_map(|it| requests[it.index].doubt());
        doubts.for_each(Doubt::begin);
    }
    if written.is_err() {
        forget(shared, requests, plan);
    }
    written
}

/// Forgets what was planned as if it were written.
fn forget(shared: &Shared, requests: &[&Request], plan: &Plan<'_>) {
    let planned = plan.accepted.iter();
    shared.memory.forget(planned.map(|it| requests[it.index]));
}

/// Sends the changes and asks the hook. After an error the transaction is rolled back, if there is one.
async fn written(
    shared: &Shared,
    conn: &mut AttemptConnection<'_>,
    requests: &[&Request],
    plan: &Plan<'_>,
    trace: &Trace,
) -> Result<Option<Answers>, Error> {
    let effects = shared.inventory.effects();
    let written = match write::write(conn, &plan.changes, effects.outbox).await? {
        Sent::Written(written) => written,
        Sent::Stale(before) => {
            forget(shared, requests, plan);
            shared.memory.learn(before);
            return Ok(None);
        }
    };
    if plan.accepted.len() == requests.len() {
        // The others may be refused, which takes a statement more.
        conn.hand_over();
    }
    let answers = answers(plan, written.at);
    let hook = &effects.hook;
    if hook.is_some() {
        let (asked, accepted) = accepted(plan, &answers, &written);
        let answer = match &*accepted {
            [] => BatchAnswer::Accepted,
            _ => hook.call_many(&mut *conn.get().await?, &accepted).await,
        };
        let error = match &answer {
            BatchAnswer::Accepted => None,
            BatchAnswer::TakenOut(_) => Some(Error::busy(None)),
            BatchAnswer::Failed(failed) => Some(failed.error_of(accepted[0].order.id)),
        };
        if let Some(error) = error {
            trace.refuse(answer, asked);
            return Err(error);
        }
    }
    shared.memory.learn(facts_after(plan, written));
    Ok(Some(answers))
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
