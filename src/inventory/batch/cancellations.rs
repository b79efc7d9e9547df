//! Cancellations that share statements.

use std::{collections::HashMap, sync::Arc};

use uuid::Uuid;

use super::job::{Direct, Job, Keys, Verdict, Written};
use crate::{
    Attempt, Version, Versioned,
    inventory::{
        model::{Error, Order, OrderId, OrderStep, order_step::Judged},
        postgres::{
            PgInventory,
            executor::Executor,
            orders::{self, doubt::Doubt, step},
        },
    },
    postgres::{BoxFuture, Lease, OfSqlx, Work},
};

/// The job of the queue of cancellations.
#[derive(Debug)]
pub(super) struct Cancellations {
    inventory: PgInventory,
    /// Its attempts wait for locks as long as batches do.
    limited: Executor,
}

#[derive(Debug)]
pub(super) struct Request {
    pub(super) step: OrderStep,
    /// Whether a batch was sent with it, at which version.
    doubt: Doubt,
}

impl Request {
    pub(super) fn new(step: OrderStep) -> Self {
        let doubt = Doubt::default();
        Self { step, doubt }
    }
}

/// A cancellation that applies to its order.
struct Applicable<'a> {
    /// The index of the request in the batch.
    index: usize,
    request: &'a Request,
    /// The version at which the order was read.
    read: Version,
    /// The order as the cancellation leaves it.
    cancelled: Order,
}

type Verdicts = Vec<Verdict<Order>>;

impl Cancellations {
    pub(super) fn new(inventory: PgInventory) -> Self {
        let limited = inventory.executor().limited();
        Self { inventory, limited }
    }

    /// Reads the orders, judges each request, and cancels the orders by one statement.
    async fn write_batch(
        &self,
        conn: &mut Option<Lease>,
        batch: &[Arc<Request>],
        verdicts: &mut Verdicts,
    ) -> Result<(), Error> {
        let executor = self.inventory.executor();
        let lease = match conn {
            Some(conn) => conn,
            None => conn.insert(executor.acquire().await?),
        };
        let ids: Vec<Uuid> = batch.iter().map(|it| it.step.id.uuid()).collect();
        let orders = orders::of(lease, &ids).await?;
        let batch = judge(orders, batch, verdicts);
        if batch.is_empty() {
            return Ok(());
        }
        let ids: Vec<Uuid> = batch.iter().map(|it| it.cancelled.id.uuid()).collect();
        let versions: Vec<_> = batch.iter().map(|it| Some(it.read)).collect();
        let reasons = batch.iter().filter_map(|it| it.request.step.reason());
        let reasons: Vec<&str> = reasons.collect();
        for it in &batch {
            it.request.doubt.send(it.read);
        }
        let cancelled = match step::cancel_many(lease, &ids, &versions, &reasons).await {
            // Possible at the isolation levels above READ COMMITTED, at which the repetition waits instead.
            Err(lost) if lost.is_conflict() => {
                *conn = None;
                let (ids, versions, reasons) = (&ids, &versions, &reasons);
                let again: Work<'_, '_, _> =
                    &|conn, _| Box::pin(step::cancel_many(conn, ids, versions, reasons));
                let cancelled = executor.locking_attempt(Attempt::FIRST, again).await;
                cancelled.map_err(|failed| failed.error)
            }
            cancelled => cancelled,
        };
        for it in &batch {
            match &cancelled {
                Err(lost) if lost.is_unknown() => {
                    it.request.doubt.lose();
                    verdicts[it.index] = Verdict::Bypass { in_doubt: true };
                }
                Err(lost) if lost.is_lock_timeout() => {
                    it.request.doubt.begin();
                    verdicts[it.index] = Verdict::Again;
                }
                _ => it.request.doubt.begin(),
            }
        }
        let cancelled = cancelled?;
        for it in batch {
            if cancelled.contains(&it.cancelled.id.uuid()) {
                executor.count_batched(it.request.step.label(), None);
                verdicts[it.index] = Verdict::Final(Ok(it.cancelled));
            }
        }
        Ok(())
    }
}

/// Returns the cancellations that apply to their orders, at most one of each. Answers those that were made before.
/// The others bypass the batch, and are refused directly.
fn judge<'a>(
    orders: Vec<Order>,
    batch: &'a [Arc<Request>],
    verdicts: &mut Verdicts,
) -> Vec<Applicable<'a>> {
    let orders = orders.into_iter().map(|order| (order.id, order));
    let mut orders: HashMap<OrderId, Order> = orders.collect();
    let mut applicable = Vec::with_capacity(batch.len());
    for (index, request) in batch.iter().enumerate() {
        let Some(mut order) = orders.remove(&request.step.id) else {
            continue;
        };
        match request.step.judge(&order) {
            Ok(Judged::Made) => {
                order.replayed = true;
                verdicts[index] = Verdict::Final(Ok(order));
            }
            Ok(Judged::Begins) => {
                if let Ok(cancelled) = request.step.made(&order) {
                    let read = order.version;
                    applicable.push(Applicable {
                        index,
                        request,
                        read,
                        cancelled,
                    });
                }
            }
            Err(_) => {}
        }
    }
    applicable
}

impl Job for Cancellations {
    type Request = Request;
    type Answer = Order;

    const LANE: &'static str = "cancel";

    /// The products of an order are unknown before it is read.
    fn keys(&self, request: &Request) -> Keys {
        [Keys::key(Order::ENTITY, request.step.id)]
            .into_iter()
            .collect()
    }

    fn weight(&self, _request: &Request) -> usize {
        1
    }

    fn write<'a>(
        &'a self,
        conn: &'a mut Option<Lease>,
        batch: &'a [Arc<Request>],
    ) -> BoxFuture<'a, Written<Order>> {
        Box::pin(async move {
            let undecided = || Verdict::Bypass { in_doubt: false };
            let mut verdicts: Verdicts = batch.iter().map(|_| undecided()).collect();
            let mut blocked = false;
            if let Err(lost) = self.write_batch(conn, batch, &mut verdicts).await {
                blocked = lost.is_lock_timeout();
                if let Some(mut lease) = conn.take() {
                    lease.recover(lost.refusal()).await;
                }
            }
            Written { verdicts, blocked }
        })
    }

    fn direct<'a>(
        &'a self,
        request: &'a Arc<Request>,
        how: Direct,
    ) -> BoxFuture<'a, Result<Order, Error>> {
        let executor = match how.lock_limit {
            true => &self.limited,
            false => self.inventory.executor(),
        };
        Box::pin(orders::change::step(
            executor,
            &request.step,
            &request.doubt,
        ))
    }

    fn lost(&self, request: &Request) {
        request.doubt.lose();
    }
}
