//! A batch of cancellations: reads their orders, judges each, and cancels them by one statement.

use std::{collections::HashMap, sync::Arc};

use tokio::sync::oneshot;
use uuid::Uuid;

use crate::{
    Attempt, Version,
    inventory::{
        model::{Error, Order, OrderId, OrderStep, order_step::Judged},
        postgres::{
            PgInventory,
            orders::{self, doubt::Doubt, step},
        },
    },
    postgres::{Lease, Work},
};

/// A cancellation in the queue. If it is dropped, the request of the caller goes to the inventory directly.
#[derive(Debug)]
pub(crate) struct Queued {
    pub(crate) step: OrderStep,
    /// Whether a batch was sent with it, at which version.
    pub(crate) doubt: Arc<Doubt>,
    pub(crate) answer: oneshot::Sender<Order>,
}

/// A cancellation that applies to its order.
struct Applicable {
    queued: Queued,
    /// The version at which the order was read.
    read: Version,
    /// The order as the cancellation leaves it.
    cancelled: Order,
}

pub(crate) async fn write_batch(
    inventory: &PgInventory,
    conn: &mut Option<Lease>,
    batch: Vec<Queued>,
) -> Result<(), Error> {
    let lease = match conn {
        Some(conn) => conn,
        None => conn.insert(inventory.executor().acquire().await?),
    };
    let ids: Vec<Uuid> = batch.iter().map(|it| it.step.id.uuid()).collect();
    let orders = orders::of(lease, &ids).await?;
    let batch = judge(orders, batch);
    if batch.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = batch.iter().map(|it| it.cancelled.id.uuid()).collect();
    let versions: Vec<_> = batch.iter().map(|it| Some(it.read)).collect();
    let reasons: Vec<&str> = batch
        .iter()
        .filter_map(|it| it.queued.step.reason())
        .collect();
    for it in &batch {
        it.queued.doubt.send(it.read);
    }
    let cancelled = match step::cancel_many(lease, &ids, &versions, &reasons).await {
        // Possible at the isolation levels above READ COMMITTED, at which the repetition waits instead.
        Err(lost) if lost.is_conflict() => {
            *conn = None;
            let (ids, versions, reasons) = (&ids, &versions, &reasons);
            let again: Work<'_, '_, _> =
                &|conn, _| Box::pin(step::cancel_many(conn, ids, versions, reasons));
            let cancelled = inventory
                .executor()
                .locking_attempt(Attempt::FIRST, again)
                .await;
            cancelled.map_err(|failed| failed.error)
        }
        cancelled => cancelled,
    };
    if !cancelled.as_ref().is_err_and(Error::is_unknown) {
        for it in &batch {
            it.queued.doubt.begin();
        }
    }
    let cancelled = cancelled?;
    for it in batch {
        if cancelled.contains(&it.cancelled.id.uuid()) {
            drop(it.queued.answer.send(it.cancelled));
        }
    }
    Ok(())
}

/// Returns the cancellations that apply to their orders. Answers those that were made before, and drops the
/// others, which the inventory refuses directly.
fn judge(orders: Vec<Order>, batch: Vec<Queued>) -> Vec<Applicable> {
    let mut orders: HashMap<OrderId, Order> =
        orders.into_iter().map(|order| (order.id, order)).collect();
    let mut applicable = Vec::with_capacity(batch.len());
    for queued in batch {
        let Some(mut order) = orders.remove(&queued.step.id) else {
            continue;
        };
        match queued.step.judge(&order) {
            Ok(Judged::Made) => {
                order.replayed = true;
                drop(queued.answer.send(order));
            }
            Ok(Judged::Begins) => {
                if let Ok(cancelled) = queued.step.made(&order) {
                    let read = order.version;
                    applicable.push(Applicable {
                        queued,
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
