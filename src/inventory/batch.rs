//! Batching of checkouts, of payments and of cancellations: one statement writes many of them.

mod attempt;
mod cancellations;
mod checkouts;
mod job;
mod options;
mod payments;
mod plan;
mod queue;
mod shutdown;
mod write;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::timeout;

#[cfg(doc)]
use super::model::ErrorKind;
use super::{
    api::Inventory,
    layer::Layer,
    model::{Checkout, Error, Order, OrderStep, order_step::Kind},
    postgres::{PgInventory, sql::statement::Statement},
};

use cancellations::Cancellations;
use checkouts::Checkouts;
pub use options::BatchOptions;
#[doc(hidden)]
pub use payments::PAYMENTS;
use payments::Payments;
use queue::Queue;
pub use shutdown::ShutdownTimedOut;
#[doc(hidden)]
pub use write::BATCH;

/// The statements of the batches.
pub(crate) const STATEMENTS: [&[Statement]; 2] = [write::ALL, payments::STATEMENTS];

/// A [`PgInventory`] that batches concurrent checkouts of the same products.
///
/// Checkouts that would wait for the same row locks are queued and written by one statement, each with its
/// own order, its own ledger row and its own answer: one lock and one disk flush for the whole batch. A batch
/// consists of the requests that arrived while the previous one was written, so no request waits for a batch
/// to fill. An uncontended checkout bypasses the queue. Payments (`mark_paid` and `mark_payment_failed`) and
/// cancellations are batched in the same way; every other call goes to the inventory behind. For the design and its limits see
/// [`flash_sales`](crate::guide::flash_sales).
///
/// Cheap to clone; clones share the queue. Checkouts need a tokio runtime with its timer enabled.
///
/// ```no_run
/// use optilock::inventory::{BatchOptions, BatchedInventory, PgInventory};
/// use std::time::Duration;
///
/// # async fn doc(pool: sqlx::PgPool) {
/// let shop = BatchedInventory::new(PgInventory::new(pool), BatchOptions::new());
/// // .. an `Inventory` like any other, until the process ends ..
/// shop.shutdown(Duration::from_secs(20)).await.unwrap();
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct BatchedInventory {
    checkouts: Arc<Queue<Checkouts>>,
    cancellations: Arc<Queue<Cancellations>>,
    payments: Arc<Queue<Payments>>,
}

impl BatchedInventory {
    /// The number of queues, each with its share of the pool.
    const LANES: u32 = 3;

    /// Creates an inventory that batches the checkouts, payments and cancellations of `inventory`.
    ///
    /// Batches and the requests that bypass them use at most all connections of the pool but one.
    pub fn new(inventory: PgInventory, options: BatchOptions) -> Self {
        let executor = inventory.executor();
        let checkouts = Checkouts::new(inventory.clone());
        let cancellations = Cancellations::new(inventory.clone());
        let payments = Payments::new(inventory.clone());
        Self {
            checkouts: Arc::new(Queue::new(checkouts, executor, options, Self::LANES)),
            cancellations: Arc::new(Queue::new(cancellations, executor, options, Self::LANES)),
            payments: Arc::new(Queue::new(payments, executor, options, Self::LANES)),
        }
    }

    /// Returns the inventory behind.
    pub fn inventory(&self) -> &PgInventory {
        self.checkouts.job.inventory()
    }

    /// Returns the number of checkouts that are queued for a batch.
    #[must_use]
    pub fn queue_depth(&self) -> usize {
        self.checkouts.depth()
    }

    /// Rejects new checkouts, payments and cancellations with [`ErrorKind::Busy`], and returns when every one that was
    /// admitted has its answer: queued, in a batch, or made directly.
    ///
    /// Call it before the pool is closed. A second call waits as well.
    ///
    /// # Errors
    ///
    /// [`ShutdownTimedOut`] when some have no answer after `limit`. What is still queued is answered then: with
    /// [`ErrorKind::Busy`], or with an unknown outcome if a batch with it was lost.
    pub async fn shutdown(&self, limit: Duration) -> Result<(), ShutdownTimedOut> {
        self.checkouts.close();
        self.cancellations.close();
        self.payments.close();
        let idle = async {
            self.checkouts.idle().await;
            self.cancellations.idle().await;
            self.payments.idle().await;
        };
        if timeout(limit, idle).await.is_ok() {
            return Ok(());
        }
        let unanswered = self.checkouts.abandon() + self.cancellations.abandon();
        match unanswered + self.payments.abandon() {
            0 => Ok(()),
            unanswered => Err(ShutdownTimedOut { unanswered, limit }),
        }
    }
}

#[async_trait]
impl Layer for BatchedInventory {
    type Behind = PgInventory;

    fn behind(&self) -> &PgInventory {
        self.inventory()
    }

    async fn checkout(&self, checkout: Checkout) -> Result<Order, Error> {
        checkout.check()?;
        let clock = self.inventory().traffic().clock();
        let request = Arc::new(checkouts::Request { checkout, clock });
        let answer = self.checkouts.submit(&request).await;
        request.clock.stop(&answer);
        if let Ok(order) = &answer {
            self.payments.job.learn(order);
        }
        answer
    }

    async fn step(&self, step: OrderStep) -> Result<Order, Error> {
        step.check()?;
        match step.kind {
            Kind::MarkPaid | Kind::MarkPaymentFailed => {
                let request = Arc::new(payments::Request::new(step));
                self.payments.submit(&request).await
            }
            Kind::Cancel { .. } => {
                let request = Arc::new(cancellations::Request::new(step));
                self.cancellations.submit(&request).await
            }
            Kind::Revive => self.inventory().step(step).await,
        }
    }
}
