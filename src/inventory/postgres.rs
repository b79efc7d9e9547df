//! The inventory on PostgreSQL.

pub(crate) mod adjustment;
pub(crate) mod audit;
pub(crate) mod call;
pub(crate) mod checkout;
pub(crate) mod cleanup;

pub(crate) mod doubt;
mod error;
pub(crate) mod expiry;
pub(crate) mod feed;
pub(crate) mod hook;
pub(crate) mod in_transaction;
pub(crate) mod migrate;
pub(crate) mod orders;
pub(crate) mod product;
pub(crate) mod products;
pub(crate) mod report;
pub(crate) mod reservations;
pub(crate) mod returns;
pub(crate) mod row;
pub(crate) mod sale;
pub(crate) mod sku;
pub(crate) mod sql;
pub(crate) mod stats;
pub(crate) mod step;
pub(crate) mod time;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use sqlx::{PgConnection, PgPool};
use uuid::Uuid;

use super::{
    api::Inventory,
    model::{
        Adjustment, Audit, Checkout, Cleanup, Error, Movement, NewProduct, Order, OrderFilter,
        OrderId, OrderStep, Page, Product, Report, Reservation, ReservationId, Reserve,
        ReturnRequest, Sku, Stock,
    },
    traffic::Traffic,
};
use crate::{RetryPolicy, Version};

use call::{Call, Late};
use cleanup::{Holds, Keys, Orders};
#[doc(hidden)]
use doubt::Doubt;
pub use hook::{Accepted, Change, OnAccepted};
pub use migrate::{MigrateError, migrate};
#[doc(hidden)]
pub use sql::checkout::SELL_ONE;
pub use stats::Stats;

/// How a checkout holds the stock between looking and taking.
///
/// All of them are right under any load; they differ in speed. Whatever the strategy, an attempt
/// after two conflicts locks (see
/// [`with_locking_after`](RetryPolicy::with_locking_after)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Strategy {
    /// One statement that takes the stock if it is there. One round trip; the fastest on a product
    /// in demand. The default.
    #[default]
    Guarded,
    /// Read, compare-and-set on the version, retry. Holds no lock between reading and writing; for
    /// products that are rarely bought at the same moment.
    Optimistic,
    /// Lock the rows, look, write. Every buyer waits for the one before; never a conflict.
    Pessimistic,
}

/// An [`Inventory`] on PostgreSQL, in its own schema `optilock`.
///
/// Cheap to clone. Make the tables by [`migrate`](crate::migrate) first. Every operation of the
/// trait but the clean-ups also comes as `.._in`, for one attempt within a transaction of the host's: it commits
/// nothing, and its errors of class [`Conflict`](crate::Class::Conflict) want that transaction
/// run again, as [`transact`](crate::postgres::transact()) does.
///
/// ```no_run
/// use optilock::{RetryPolicy, inventory::{Checkout, Error, Inventory, Line, PgInventory, Quantity, Sku}};
///
/// # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = optilock::postgres::pool_options().connect("postgres://localhost/shop").await?;
/// optilock::migrate(&pool).await?;
/// let shop = PgInventory::new(pool.clone());
///
/// let cart = Checkout::new([Line::new(Sku::new("clay-pot")?, Quantity::ONE)])?;
/// let order = shop.checkout(cart.clone()).await?;
///
/// // Or together with the host's own rows:
/// let order = optilock::postgres::transact(&pool, &RetryPolicy::new(), async |tx| {
///     let order = shop.checkout_in(tx, &cart).await?;
///     sqlx::query("INSERT INTO deliveries (order_id) VALUES ($1)").bind(order.id.uuid()).execute(&mut **tx).await?;
///     Ok::<_, Error>(order)
/// })
/// .await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct PgInventory {
    pool: PgPool,
    policy: RetryPolicy,
    strategy: Strategy,
    pub(crate) hook: hook::Hook,
    cleanup_pace: Option<u32>,
    stats: Arc<stats::Counters>,
    pub(crate) traffic: Arc<Traffic>,
}

impl PgInventory {
    /// An inventory on this pool.
    ///
    /// # Default
    ///
    /// [`RetryPolicy::new`], [`Strategy::Guarded`], clean-ups at a pace of 20,000 per second.
    pub fn new(pool: PgPool) -> Self {
        Self {
            pool,
            policy: RetryPolicy::new(),
            strategy: Strategy::default(),
            hook: hook::Hook::default(),
            cleanup_pace: Some(20_000),
            stats: Arc::default(),
            traffic: Arc::default(),
        }
    }

    /// How often and how long an operation is tried. Whether unknown outcomes are retried is not up
    /// to the policy: here every operation takes effect once, so they are.
    pub fn with_policy(mut self, policy: RetryPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// How a checkout holds the stock.
    pub const fn with_strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Limits how many orders, holds or keys a clean-up handles per second, 1 or more; `None` for no limit.
    /// It rests between batches and holds nothing meanwhile. A batch is of 50 to 2,000 rows, as many as take
    /// about 50 ms, for which the buyers of its products may have to wait.
    ///
    /// At the default, 20,000, checkouts beside it keep more than half of their speed on a machine with 2
    /// cores, which would clean up twice as many alone: `cargo bench --bench checkout`.
    pub const fn with_cleanup_rate_limit(mut self, per_second: Option<u32>) -> Self {
        self.cleanup_pace = per_second;
        self
    }

    /// What is done together with every accepted checkout, in its transaction; that of
    /// [`checkout_in`](Self::checkout_in), too. A sale is then several round trips.
    pub fn with_hook(mut self, hook: Arc<dyn OnAccepted>) -> Self {
        self.hook = hook::Hook(Some(hook));
        self
    }

    /// How the calls went so far, over all clones of this inventory in this process.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.stats.read()
    }
}

#[async_trait]
impl Inventory for PgInventory {
    async fn add_product(&self, new: NewProduct) -> Result<Product, Error> {
        let token = Uuid::now_v7();
        self.change(
            "add product",
            token,
            Late::NotCommitted,
            async |conn: &mut PgConnection, _| products::add(conn, &new, token).await,
        )
        .await
    }

    async fn product(&self, sku: &Sku) -> Result<Product, Error> {
        self.read("product", async |conn: &mut PgConnection, _| {
            products::find(conn, sku).await
        })
        .await
    }

    async fn products(&self, page: Page<Sku>) -> Result<Vec<Product>, Error> {
        self.read("products", async |conn: &mut PgConnection, _| {
            products::page(conn, &page).await
        })
        .await
    }

    async fn products_of(&self, skus: &[Sku]) -> Result<Vec<Product>, Error> {
        self.read("products of", async |conn: &mut PgConnection, _| {
            products::of(conn, skus).await
        })
        .await
    }

    async fn product_at(&self, sku: &Sku, expected: Version) -> Result<Product, Error> {
        self.read("product at", async |conn: &mut PgConnection, _| {
            products::at(conn, sku, expected).await
        })
        .await
    }

    async fn update_product(&self, changed: &Product) -> Result<Product, Error> {
        let token = Uuid::now_v7();
        self.change(
            "update product",
            token,
            Late::Refused,
            async |conn: &mut PgConnection, _| products::edit(conn, changed, token).await,
        )
        .await
    }

    async fn retire_product(&self, sku: &Sku, expected: Version) -> Result<(), Error> {
        let token = Uuid::now_v7();
        self.change(
            "retire product",
            token,
            Late::Refused,
            async |conn: &mut PgConnection, _| products::retire(conn, sku, expected, token).await,
        )
        .await
        .map(drop)
    }

    async fn pause(&self, sku: &Sku) -> Result<Product, Error> {
        self.set_paused("pause", sku, true).await
    }

    async fn resume(&self, sku: &Sku) -> Result<Product, Error> {
        self.set_paused("resume", sku, false).await
    }

    async fn adjust_stock(&self, adjustment: Adjustment) -> Result<Product, Error> {
        self.adjust(&adjustment).await
    }

    async fn count_stock(
        &self,
        sku: &Sku,
        expected: Version,
        counted: Stock,
        reason: &str,
    ) -> Result<Product, Error> {
        let token = Uuid::now_v7();
        self.change(
            "count stock",
            token,
            Late::Refused,
            async |conn: &mut PgConnection, _| {
                products::count(conn, sku, expected, counted, reason, token).await
            },
        )
        .await
    }

    async fn checkout(&self, request: Checkout) -> Result<Order, Error> {
        let clock = self.traffic.clock();
        let answer = self.sell(&clock, &request, false).await;
        clock.stop(&answer);
        answer
    }

    async fn order(&self, id: OrderId) -> Result<Order, Error> {
        self.read("order", async |conn: &mut PgConnection, _| {
            orders::find(conn, id).await
        })
        .await
    }

    async fn orders(&self, filter: OrderFilter, page: Page<OrderId>) -> Result<Vec<Order>, Error> {
        self.read("orders", async |conn: &mut PgConnection, _| {
            orders::page(conn, &filter, &page).await
        })
        .await
    }

    async fn step(&self, step: OrderStep) -> Result<Order, Error> {
        self.step_after(&step, &Doubt::default()).await
    }

    async fn return_items(&self, request: ReturnRequest) -> Result<Order, Error> {
        let doubt = Doubt::default();
        self.change_order(
            "return items",
            request.expected,
            &doubt,
            async |conn: &mut PgConnection, _| returns::make(conn, &request, &doubt).await,
        )
        .await
    }

    async fn cleanup_failed_orders(&self, older_than: Duration) -> Result<Cleanup, Error> {
        Ok(self
            .clean_up(&Orders::older_than(older_than))
            .await?
            .cleanup)
    }

    async fn cleanup_idempotency_keys(&self, older_than: Duration) -> Result<u64, Error> {
        Ok(self.clean_up(&Keys { older_than }).await?.keys)
    }

    async fn reserve(&self, request: Reserve) -> Result<Reservation, Error> {
        self.hold(&request).await
    }

    async fn reservation(&self, id: ReservationId) -> Result<Reservation, Error> {
        self.read("reservation", async |conn: &mut PgConnection, _| {
            reservations::find(conn, id).await
        })
        .await
    }

    async fn extend(&self, id: ReservationId, by: Duration) -> Result<Reservation, Error> {
        self.transition("extend", async |conn: &mut PgConnection, _| {
            reservations::extend(conn, id, by).await
        })
        .await
    }

    async fn release(&self, id: ReservationId) -> Result<(), Error> {
        self.transition("release", async |conn: &mut PgConnection, _| {
            reservations::release(conn, id).await
        })
        .await
    }

    async fn cleanup_reservations(&self) -> Result<Cleanup, Error> {
        Ok(self.clean_up(&Holds::past_their_time()).await?.cleanup)
    }

    async fn movements(&self, sku: &Sku, page: Page<Version>) -> Result<Vec<Movement>, Error> {
        self.read("movements", async |conn: &mut PgConnection, _| {
            orders::movements(conn, sku, &page).await
        })
        .await
    }

    async fn report(&self, window: Duration) -> Result<Report, Error> {
        let rates = self.traffic.over(window);
        self.read("report", async |conn: &mut PgConnection, _| {
            report::report(conn, window, &rates).await
        })
        .await
    }

    async fn audit(&self) -> Result<Audit, Error> {
        self.read("audit", async |conn: &mut PgConnection, _| {
            audit::audit(conn).await
        })
        .await
    }
}
