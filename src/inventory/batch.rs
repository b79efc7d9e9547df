//! Requests that wait for the same rows, written together: one statement makes many of them.

mod connection;
mod job;
mod options;
mod payments;
mod queue;
mod shutdown;
mod stock;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::timeout;

#[cfg(doc)]
use super::model::ErrorKind;
use super::{
    api::Inventory,
    layer::Layer,
    model::{
        Checkout, Error, Order, OrderStep, Reservation, ReservationId, Reserve, ReturnRequest,
        order_step::Kind, reserve::check_duration,
    },
    postgres::{PgInventory, orders::doubt::Doubt, sql::statement::Statement},
};

pub use options::BatchOptions;
use payments::Payments;
use queue::Queue;
pub use shutdown::ShutdownTimedOut;
#[doc(hidden)]
pub use stock::sql::SALES as BATCH;
use stock::{
    Stock,
    request::{Answer, Request},
};

/// The statements of the batches.
pub(crate) const STATEMENTS: [&[Statement]; 2] = [stock::sql::ALL, payments::STATEMENTS];

/// A [`PgInventory`] that batches concurrent requests for the same products.
///
/// Requests that would wait for the same row locks are queued and written by one statement, each with its
/// own rows, its own ledger row and its own answer: one lock and one disk flush for the whole batch. A batch
/// consists of the requests that arrived while the previous one was written, so no request waits for a batch
/// to fill. An uncontended request bypasses the queue.
///
/// These requests are batched: checkouts, also from a reservation; `reserve`, `extend` and `release`; cancellations;
/// and `return_items`. One batch may have requests of all these kinds. Payments (`mark_paid` and
/// `mark_payment_failed`) have batches of their own. Every other call goes to the inventory behind. For the design and
/// its limits see [`flash_sales`](crate::guide::flash_sales).
///
/// Cheap to clone; clones share the queue. Batched requests need a tokio runtime with its timer enabled.
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
    stock: Arc<Queue<Stock>>,
    payments: Arc<Queue<Payments>>,
}

impl BatchedInventory {
    /// The number of queues, each with its share of the pool.
    const LANES: u32 = 2;

    /// Creates an inventory that batches the requests to `inventory`.
    ///
    /// Batches and the requests that bypass them use at most all connections of the pool but one.
    pub fn new(inventory: PgInventory, options: BatchOptions) -> Self {
        let executor = inventory.executor().clone();
        let payments = Payments::new(inventory.clone());
        let stock = Stock::new(inventory);
        Self {
            stock: Arc::new(Queue::new(stock, &executor, options, Self::LANES)),
            payments: Arc::new(Queue::new(payments, &executor, options, Self::LANES)),
        }
    }

    /// Returns the inventory behind.
    pub fn inventory(&self) -> &PgInventory {
        self.stock.job.inventory()
    }

    /// Returns the number of requests that are queued for a batch.
    #[must_use]
    pub fn queue_depth(&self) -> usize {
        self.stock.depth() + self.payments.depth()
    }

    /// Rejects new requests with [`ErrorKind::Busy`], and returns when every one that was admitted has its answer:
    /// queued, in a batch, or made directly. Calls that are never batched, such as reads, are not rejected.
    ///
    /// Call it before the pool is closed. A second call waits as well.
    ///
    /// # Errors
    ///
    /// [`ShutdownTimedOut`] when some have no answer after `limit`. What is still queued is answered then: with
    /// [`ErrorKind::Busy`], or with an unknown outcome if a batch with it was lost.
    pub async fn shutdown(&self, limit: Duration) -> Result<(), ShutdownTimedOut> {
        self.stock.close();
        self.payments.close();
        let idle = async {
            self.stock.idle().await;
            self.payments.idle().await;
        };
        if timeout(limit, idle).await.is_ok() {
            return Ok(());
        }
        match self.stock.abandon() + self.payments.abandon() {
            0 => Ok(()),
            unanswered => Err(ShutdownTimedOut { unanswered, limit }),
        }
    }

    /// Waits until the synchronous standby has a change that an earlier call has made.
    async fn replicated(&self, replayed: bool) -> Result<(), Error> {
        if replayed {
            let replicated = self.inventory().executor().shown_is_replicated().await;
            replicated.map_err(Error::into_unknown)?;
        }
        Ok(())
    }

    async fn order(&self, request: Request) -> Result<Order, Error> {
        match self.stock.submit(&Arc::new(request)).await? {
            Answer::Order(order) => {
                self.replicated(order.replayed).await?;
                Ok(order)
            }
            other => unreachable!("{other:?} answers no request for an order"),
        }
    }

    async fn held(&self, request: Request) -> Result<Reservation, Error> {
        match self.stock.submit(&Arc::new(request)).await? {
            Answer::Reservation(reservation) => {
                self.replicated(reservation.replayed).await?;
                Ok(reservation)
            }
            other => unreachable!("{other:?} answers no request for a reservation"),
        }
    }
}

#[async_trait]
impl Layer for BatchedInventory {
    type Behind = PgInventory;

    fn behind(&self) -> &PgInventory {
        self.inventory()
    }

    async fn checkout(&self, request: Checkout) -> Result<Order, Error> {
        request.check()?;
        let clock = Arc::new(self.inventory().traffic().clock());
        let answer = self
            .order(Request::Checkout(request, Arc::clone(&clock)))
            .await;
        clock.stop(&answer);
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
                let order = self.payments.submit(&request).await?;
                self.replicated(order.replayed).await?;
                Ok(order)
            }
            Kind::Cancel { .. } => self.order(Request::Cancel(step, Doubt::default())).await,
            Kind::Revive => self.inventory().step(step).await,
        }
    }

    async fn return_items(&self, request: ReturnRequest) -> Result<Order, Error> {
        self.order(Request::Return(request, Doubt::default())).await
    }

    async fn reserve(&self, request: Reserve) -> Result<Reservation, Error> {
        request.check()?;
        self.held(Request::Reserve(request)).await
    }

    async fn extend(&self, id: ReservationId, by: Duration) -> Result<Reservation, Error> {
        check_duration(by)?;
        self.held(Request::Extend { id, by }).await
    }

    async fn release(&self, id: ReservationId) -> Result<(), Error> {
        let request = Arc::new(Request::Release(id));
        self.stock.submit(&request).await.map(drop)
    }
}
