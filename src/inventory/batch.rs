//! Batching of checkouts and of cancellations: one statement writes many of them.

mod attempt;
mod cancellations;
mod job;
mod options;
mod plan;
mod queue;
#[allow(dead_code)]
mod stock;
mod worker;
mod write;

use std::sync::Arc;

use async_trait::async_trait;

#[cfg(doc)]
use super::model::ErrorKind;
use super::{
    api::Inventory,
    layer::Layer,
    model::{Checkout, Error, Order, OrderStep},
    postgres::{PgInventory, checkout},
};

use cancellations::Cancellations;
pub use options::BatchOptions;
use queue::{Admission, Answer, Queue};
pub(crate) use write::ALL as STATEMENTS;
#[doc(hidden)]
pub use write::BATCH;

/// A [`PgInventory`] that batches concurrent checkouts of the same products.
///
/// Checkouts that would wait for the same row locks are queued and written by one statement, each with its
/// own order, its own ledger row and its own answer: one lock and one disk flush for the whole batch. A batch
/// consists of the requests that arrived while the previous one was written, so no request waits for a batch
/// to fill. An uncontended checkout bypasses the queue. Cancellations are batched in the same way; every other
/// call goes to the inventory behind. For the design and its limits see
/// [`flash_sales`](crate::guide::flash_sales).
///
/// Cheap to clone; clones share the queue. Checkouts need a tokio runtime with its timer enabled.
///
/// ```no_run
/// use optilock::inventory::{BatchOptions, BatchedInventory, PgInventory};
///
/// # async fn doc(pool: sqlx::PgPool) {
/// let shop = BatchedInventory::new(PgInventory::new(pool), BatchOptions::new());
/// // .. an `Inventory` like any other, until the process ends ..
/// shop.shutdown().await;
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct BatchedInventory {
    queue: Arc<Queue>,
    cancellations: Arc<Cancellations>,
}

impl BatchedInventory {
    /// Creates an inventory that batches the checkouts and cancellations of `inventory`.
    pub fn new(inventory: PgInventory, options: BatchOptions) -> Self {
        Self {
            cancellations: Arc::new(Cancellations::new(inventory.clone(), options)),
            queue: Arc::new(Queue::new(inventory, options, worker::spawn)),
        }
    }

    /// Returns the inventory behind.
    pub fn inventory(&self) -> &PgInventory {
        &self.queue.inventory
    }

    /// Returns the number of checkouts that are queued for a batch.
    #[must_use]
    pub fn queue_depth(&self) -> usize {
        self.queue.depth()
    }

    /// Drains the queue and rejects new checkouts with [`ErrorKind::Busy`]. Returns when every request that was
    /// admitted has its answer.
    pub async fn shutdown(&self) {
        self.queue.close().await;
        self.cancellations.idle().await;
    }

    async fn sell(&self, request: Checkout) -> Result<Order, Error> {
        let inventory = &self.queue.inventory;
        request.check()?;
        let clock = inventory.traffic().clock();
        let request = Arc::new(request);
        let answer = match self.queue.admit(&request) {
            Admission::Closed => Err(Error::busy(None)),
            Admission::Full { retry_after } => Err(Error::busy(Some(retry_after))),
            // Boxed, so that a request in the queue costs no more than it needs there.
            Admission::Direct(_direct) => {
                Box::pin(inventory.sale(&request).exactly_once(&clock, false)).await
            }
            Admission::Queued(answer) => {
                let answer = match answer.await {
                    Ok(answer) => answer,
                    // The worker ended early, and may have sent the request before.
                    Err(_) => Answer::Bypass { in_doubt: true },
                };
                match answer {
                    Answer::Final(answer) => {
                        inventory
                            .executor()
                            .count_batched(checkout::LABEL, answer.as_ref().err());
                        answer
                    }
                    Answer::Bypass { in_doubt } => {
                        Box::pin(inventory.sale(&request).exactly_once(&clock, in_doubt)).await
                    }
                }
            }
        };
        clock.stop(&answer);
        answer
    }
}

#[async_trait]
impl Layer for BatchedInventory {
    type Behind = PgInventory;

    fn behind(&self) -> &PgInventory {
        self.inventory()
    }

    async fn checkout(&self, request: Checkout) -> Result<Order, Error> {
        self.sell(request).await
    }

    async fn step(&self, step: OrderStep) -> Result<Order, Error> {
        match step.reason() {
            Some(_) => self.cancellations.step(step).await,
            None => self.inventory().step(step).await,
        }
    }
}
