//! Checkouts that share statements.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use super::{
    attempt::{self, FailedBatch, Shared},
    job::{Direct, Job, Keys, Verdict, Written},
};
use crate::{
    Class, Versioned,
    inventory::{
        model::{Checkout, Error, Order, Product},
        postgres::{PgInventory, checkout, checkout::Sale, executor::Executor},
        traffic::Clock,
    },
    postgres::{BoxFuture, Lease, OfSqlx},
};

/// The job of the queue of checkouts.
#[derive(Debug)]
pub(super) struct Checkouts {
    shared: Shared,
    /// Its attempts wait for locks as long as batches do.
    limited: Executor,
}

/// A checkout, and the measurement of it.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) checkout: Checkout,
    pub(super) clock: Clock,
}

impl Checkouts {
    pub(super) fn new(inventory: PgInventory) -> Self {
        Self {
            limited: inventory.executor().limited(),
            shared: Shared {
                inventory,
                known: Mutex::default(),
                careful: AtomicBool::new(false),
            },
        }
    }

    pub(super) const fn inventory(&self) -> &PgInventory {
        &self.shared.inventory
    }

    /// Writes the requests at these places of the batch. Two attempts are planned from known facts; the third one
    /// locks the products. An attempt whose outcome is unknown is followed by one that leaves existing orders out.
    async fn write_batchable(
        &self,
        conn: &mut Option<Lease>,
        batch: &[&Checkout],
        places: &[usize],
        written: &mut Written<Order>,
    ) {
        let mut in_doubt = vec![false; batch.len()];
        for number in 1..=3 {
            let created = if number < 3 {
                let careful = number > 1 || self.shared.careful.load(Relaxed);
                attempt::planned(&self.shared, conn, batch, careful).await
            } else {
                *conn = None;
                attempt::locked(&self.shared, batch).await
            };
            let FailedBatch { error, sent } = match created {
                Ok(Some(created)) => {
                    for (index, order) in created {
                        let executor = self.inventory().executor();
                        executor.count_batched(checkout::LABEL, None);
                        written.verdicts[places[index]] = Verdict::Final(Ok(order));
                    }
                    return;
                }
                Ok(None) => continue,
                Err(failed) => failed,
            };
            if let Some(mut lease) = conn.take() {
                lease.recover(error.error.refusal()).await;
            }
            match error.class {
                // Most likely an idempotency key that is taken, and more of them may follow.
                Class::Conflict => self.shared.careful.store(true, Relaxed),
                Class::Unknown => {
                    for index in sent {
                        in_doubt[index] = true;
                        written.verdicts[places[index]] = Verdict::Bypass { in_doubt: true };
                    }
                }
                _ if error.error.is_lock_timeout() => {
                    written.blocked = true;
                    for index in sent.into_iter().filter(|index| !in_doubt[*index]) {
                        written.verdicts[places[index]] = Verdict::Again;
                    }
                    return;
                }
                _ => return,
            }
        }
    }
}

impl Job for Checkouts {
    type Request = Request;
    type Answer = Order;

    const LANE: &'static str = checkout::LABEL;

    fn keys(&self, request: &Request) -> Keys {
        let lines = request.checkout.lines.iter();
        lines
            .map(|line| Keys::key(Product::ENTITY, &line.sku))
            .collect()
    }

    fn weight(&self, request: &Request) -> usize {
        request.checkout.lines.len()
    }

    fn write<'a>(
        &'a self,
        conn: &'a mut Option<Lease>,
        batch: &'a [Arc<Request>],
    ) -> BoxFuture<'a, Written<Order>> {
        Box::pin(async move {
            let undecided = || Verdict::Bypass { in_doubt: false };
            let mut written = Written {
                verdicts: batch.iter().map(|_| undecided()).collect(),
                blocked: false,
            };
            // A batch has neither reservations nor hooks.
            let hooked = self.inventory().hook().is_some();
            let all = batch.iter().enumerate();
            let (places, checkouts): (Vec<usize>, Vec<&Checkout>) = all
                .map(|(place, request)| (place, &request.checkout))
                .filter(|(_, checkout)| !hooked && checkout.reservation.is_none())
                .unzip();
            if !checkouts.is_empty() {
                self.write_batchable(conn, &checkouts, &places, &mut written)
                    .await;
            }
            written
        })
    }

    fn direct<'a>(
        &'a self,
        request: &'a Arc<Request>,
        how: Direct,
    ) -> BoxFuture<'a, Result<Order, Error>> {
        let sale = self.inventory().sale(&request.checkout);
        let sale = if how.lock_limit {
            let executor = &self.limited;
            Sale { executor, ..sale }
        } else {
            sale
        };
        Box::pin(sale.exactly_once(&request.clock, how.in_doubt))
    }
}
