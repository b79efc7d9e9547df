//! Payments that share statements. They touch no product, but one by one each is two round trips and a flush.

mod known;
mod plan;
mod request;
mod write;

use std::{collections::HashMap, sync::Arc};

use uuid::Uuid;

use super::{
    connection::Connection,
    job::{Direct, Job, Keys, Verdict, Written},
};
use crate::{
    Versioned,
    inventory::{
        model::{Error, Order, OrderId},
        postgres::{PgInventory, executor::Executor, orders},
    },
    postgres::{BoxFuture, OfSqlx},
};

use known::KnownOrders;
use plan::{Change, Read};
pub(super) use request::Request;
pub(crate) use write::ALL as STATEMENTS;

/// The job of the queue of payments.
#[derive(Debug)]
pub(super) struct Payments {
    inventory: PgInventory,
    /// Its attempts wait for locks as long as batches do.
    limited: Executor,
    known: KnownOrders,
}

type Verdicts = Vec<Verdict<Order>>;

impl Payments {
    pub(super) fn new(inventory: PgInventory) -> Self {
        Self {
            limited: inventory.executor().limited(),
            inventory,
            known: KnownOrders::default(),
        }
    }

    /// Keeps a new order, so that its payment need not read it.
    pub(super) fn learn(&self, order: &Order) {
        self.known.learn(order);
    }

    /// Writes a part of a batch. Returns its verdicts, and the error that ended it.
    async fn write_part(
        &self,
        conn: &mut Connection,
        part: &[Arc<Request>],
    ) -> (Verdicts, Option<Error>) {
        let undecided = || Verdict::Bypass { in_doubt: false };
        let mut verdicts: Verdicts = part.iter().map(|_| undecided()).collect();
        let written = self.write_batch(conn, part, &mut verdicts).await;
        (verdicts, written.err())
    }

    /// Reads the orders that are not known, judges each request, and writes all changes by one statement.
    async fn write_batch(
        &self,
        conn: &mut Connection,
        batch: &[Arc<Request>],
        verdicts: &mut Verdicts,
    ) -> Result<(), Error> {
        let executor = self.inventory.executor();
        let orders = self.orders_of(conn, batch).await?;
        let changes = plan::plan(batch, &orders, verdicts);
        if changes.is_empty() {
            return Ok(());
        }
        let lease = conn.get(executor).await?;
        for change in &changes {
            change.request.doubt.send(change.read);
        }
        let marked = match write::mark(&mut executor.schema().on(lease), &changes).await {
            // Possible at the isolation levels above READ COMMITTED.
            Err(lost) if lost.is_conflict() => {
                drop(conn.take());
                write::mark_locking(executor, &changes).await
            }
            marked => marked,
        };
        for change in &changes {
            match &marked {
                Err(lost) if lost.is_unknown() => {
                    change.request.doubt.lose();
                    verdicts[change.index] = Verdict::Bypass { in_doubt: true };
                }
                Err(lost) if lost.is_lock_timeout() => {
                    change.request.doubt.begin();
                    change.again(verdicts);
                }
                _ => change.request.doubt.begin(),
            }
        }
        let marked = marked?;
        for change in changes {
            if marked.contains(&change.made.id.uuid()) {
                self.known.learn(&change.made);
                change.answer(verdicts);
            } else if !change.is_fresh {
                // Another session may have changed the order since it became known.
                change.again(verdicts);
            }
        }
        Ok(())
    }

    /// Returns the orders of the requests that exist. Those of which a payment begins may be known from before:
    /// the statement verifies their versions.
    async fn orders_of(
        &self,
        conn: &mut Connection,
        batch: &[Arc<Request>],
    ) -> Result<HashMap<OrderId, Read>, Error> {
        let mut orders = self.known.take(batch);
        let ids = batch.iter().map(|request| request.step.id);
        let unread = ids.filter(|id| !orders.contains_key(id));
        let mut unread: Vec<Uuid> = unread.map(OrderId::uuid).collect();
        unread.sort_unstable();
        unread.dedup();
        if !unread.is_empty() {
            let executor = self.inventory.executor();
            let lease = conn.get(executor).await?;
            for order in orders::of(&mut executor.schema().on(lease), &unread).await? {
                orders.insert(order.id, Read::fresh(order));
            }
        }
        Ok(orders)
    }

    /// Counts the requests that the batch answered.
    fn count(&self, batch: &[Arc<Request>], verdicts: &Verdicts) {
        for (request, verdict) in batch.iter().zip(verdicts) {
            if let Verdict::Final(answer) = verdict {
                let executor = self.inventory.executor();
                executor.count_batched(request.step.label(), answer.as_ref().err());
            }
        }
    }
}

impl Change<'_> {
    /// Answers the request that made the change, and those that depend on it.
    fn answer(self, verdicts: &mut Verdicts) {
        for (index, answer) in self.followers {
            verdicts[index] = Verdict::Final(answer);
        }
        verdicts[self.index] = Verdict::Final(Ok(self.made));
    }

    /// Returns its requests to the queue: nothing was written.
    fn again(&self, verdicts: &mut Verdicts) {
        let followers = self.followers.iter().map(|(index, _)| *index);
        for index in followers.chain([self.index]) {
            verdicts[index] = Verdict::Again;
        }
    }
}

impl Job for Payments {
    type Request = Request;
    type Answer = Order;

    const LANE: &'static str = "payment";
    const BESIDE: bool = false;

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
        conn: &'a mut Connection,
        batch: &'a [Arc<Request>],
    ) -> BoxFuture<'a, Written<Order>> {
        Box::pin(async move {
            let (mut verdicts, mut lost) = self.write_part(conn, batch).await;
            if lost.is_none() {
                let again = |index: &usize| matches!(verdicts[*index], Verdict::Again);
                let again: Vec<usize> = (0..batch.len()).filter(again).collect();
                let part: Vec<_> = again
                    .iter()
                    .map(|index| Arc::clone(&batch[*index]))
                    .collect();
                // Their orders were changed meanwhile, and are read now.
                if !part.is_empty() {
                    let (second, error) = self.write_part(conn, &part).await;
                    lost = error;
                    for (index, verdict) in again.into_iter().zip(second) {
                        verdicts[index] = verdict;
                    }
                }
            }
            let blocked = lost.as_ref().is_some_and(Error::is_lock_timeout);
            if !blocked {
                // To wait for another batch would count as an attempt that a lock has ended.
                let again = verdicts.iter_mut();
                let again = again.filter(|verdict| matches!(verdict, Verdict::Again));
                again.for_each(|verdict| *verdict = Verdict::Bypass { in_doubt: false });
            }
            if let Some(lost) = lost
                && let Some(mut lease) = conn.take()
            {
                lease.recover(lost.refusal()).await;
            }
            self.count(batch, &verdicts);
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
