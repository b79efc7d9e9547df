//! Many checkouts, or cancels, in one statement.

mod cancellations;
mod plan;
mod queue;
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

use cancellations::Cancels;
use queue::{Answer, Queue, Turn};
pub(crate) use write::ALL as STATEMENTS;
#[doc(hidden)]
pub use write::BATCH;

/// A [`PgInventory`] for the hour in which everybody wants the same product.
///
/// Checkouts that wait for each other anyway are gathered and written by one statement, each with its
/// own order, its own row in the ledger and its own answer: one lock and one flush of the disk for all
/// of them. A batch is whatever came while the last one was written, so nobody waits for others to come.
/// Who buys what nobody else is buying goes by himself, so it may stand before every inventory. Cancels are
/// gathered in the same way; everything else goes to the inventory behind it.
/// [`flash_sales`](crate::guide::flash_sales) tells more.
///
/// Cheap to clone; clones share the queue. Checkouts want a tokio runtime with its timer enabled.
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
    cancels: Arc<Cancels>,
}

/// After a batch that could not get its locks in time, everybody goes alone for so long.
const APART: std::time::Duration = std::time::Duration::from_secs(1);

/// How a [`BatchedInventory`] gathers.
///
/// # Default
///
/// Batches of 256, a queue of 10,000.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct BatchOptions {
    batch: usize,
    queue: usize,
    always: bool,
}

impl Default for BatchOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl BatchOptions {
    /// The most lines of a batch of several carts.
    const LINES: usize = 2_000;

    /// The defaults.
    pub const fn new() -> Self {
        Self {
            batch: 256,
            queue: 10_000,
            always: false,
        }
    }

    /// The most checkouts of one batch: 1 to 1,000.
    pub const fn with_batch(mut self, checkouts: usize) -> Self {
        self.batch = match checkouts {
            0 => 1,
            1_000.. => 1_000,
            checkouts => checkouts,
        };
        self
    }

    /// How many checkouts may wait. Beyond that they are refused with [`ErrorKind::Busy`].
    pub const fn with_queue(mut self, checkouts: usize) -> Self {
        self.queue = checkouts;
        self
    }

    /// By the batch's statement also for one checkout, so that tests can tell what it answers.
    #[doc(hidden)]
    pub const fn always(mut self) -> Self {
        self.always = true;
        self
    }
}

impl BatchedInventory {
    /// Gathers the checkouts of this inventory.
    pub fn new(inventory: PgInventory, options: BatchOptions) -> Self {
        Self {
            cancels: Arc::new(Cancels::new(inventory.clone(), options)),
            queue: Arc::new(Queue::new(inventory, options)),
        }
    }

    /// The inventory behind it.
    pub fn inventory(&self) -> &PgInventory {
        &self.queue.inventory
    }

    /// How many checkouts wait for a batch.
    #[must_use]
    pub fn queue_depth(&self) -> usize {
        self.queue.depth()
    }

    /// Serves who waits, and refuses whoever comes to buy, with [`ErrorKind::Busy`]. Returns when the last one
    /// is answered.
    pub async fn shutdown(&self) {
        self.queue.close().await;
        self.cancels.idle().await;
    }

    async fn sell(&self, request: Checkout) -> Result<Order, Error> {
        let inventory = &self.queue.inventory;
        request.check()?;
        let clock = inventory.traffic().clock();
        let request = Arc::new(request);
        let answer = match self.queue.join(&request) {
            Turn::Closed => Err(Error::busy(None)),
            Turn::Full { retry_after } => Err(Error::busy(Some(retry_after))),
            Turn::Alone(_alone) => inventory.sale(&request).exactly_once(&clock, false).await,
            Turn::Wait(answered) => {
                let answer = match answered.await {
                    Ok(answer) => answer,
                    // Its worker is gone, and may have sent it before.
                    Err(_) => Answer::Alone { in_doubt: true },
                };
                match answer {
                    Answer::Here(answer) => {
                        inventory
                            .executor()
                            .count_batched(checkout::LABEL, answer.as_ref().err());
                        answer
                    }
                    Answer::Alone { in_doubt } => {
                        inventory
                            .sale(&request)
                            .exactly_once(&clock, in_doubt)
                            .await
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
            Some(_) => self.cancels.step(step).await,
            None => self.inventory().step(step).await,
        }
    }
}
