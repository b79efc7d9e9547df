//! The inventory on PostgreSQL.

pub(crate) mod checkout;
mod cleanup;
mod error;
pub(crate) mod executor;
pub(crate) mod hook;
mod in_transaction;
mod ledger;
mod migrate;
pub(crate) mod orders;
mod products;
mod reservations;
pub(crate) mod row;
pub(crate) mod sql;
mod stats;
mod strategy;
pub(crate) mod types;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use sqlx::PgPool;
use uuid::Uuid;

#[cfg(doc)]
use super::model::ErrorKind;
use super::{
    api::Inventory,
    model::{
        Adjustment, Audit, Checkout, Cleanup, Error, FeedPosition, Movement, MovementFeed,
        NewProduct, Order, OrderFilter, OrderId, OrderStep, Page, Product, Report, Reservation,
        ReservationId, Reserve, ReturnRequest, Sku, Stock,
    },
    traffic::Traffic,
};
use crate::{RetryPolicy, Version, postgres::Work};

use checkout::Sale;
use cleanup::{Holds, Keys, Orders, clean_up};
use executor::Executor;
pub use hook::{Accepted, Change, OnAccepted};
use ledger::{audit, feed, movements, report};
pub use migrate::{MigrateError, migrate};
use orders::{doubt::Doubt, returns};
use products::{
    adjust,
    change::{self, Late},
};
use reservations::reserve;
#[doc(hidden)]
pub use sql::checkout::SELL_ONE;
pub use stats::Stats;
pub use strategy::Strategy;

/// An [`Inventory`] on PostgreSQL, in its own schema `optilock`.
///
/// Cheap to clone. [`migrate`](crate::migrate) creates the tables. Every operation of the trait except the
/// clean-ups also comes as `.._in`, for one attempt in a transaction of the host's: it commits nothing. If its
/// error is of class [`Conflict`](crate::Class::Conflict), the transaction has to run again, as
/// [`transact`](crate::postgres::transact()) does.
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
/// // Or in one transaction with the host's own rows:
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
    executor: Executor,
    strategy: Strategy,
    hook: hook::Hook,
    cleanup_rate_limit: Option<u32>,
    traffic: Arc<Traffic>,
}

impl PgInventory {
    /// Creates an inventory on this pool.
    ///
    /// # Default
    ///
    /// [`RetryPolicy::new`], [`Strategy::Guarded`], clean-ups of at most 20,000 rows per second.
    pub fn new(pool: PgPool) -> Self {
        Self {
            executor: Executor::new(pool),
            strategy: Strategy::default(),
            hook: hook::Hook::default(),
            cleanup_rate_limit: Some(20_000),
            traffic: Arc::default(),
        }
    }

    /// Sets the retry policy. Unknown outcomes are retried under every policy, as each operation of an
    /// inventory takes effect once.
    pub fn with_policy(mut self, policy: RetryPolicy) -> Self {
        self.executor.set_policy(policy);
        self
    }

    /// Sets how a checkout guards the stock.
    pub const fn with_strategy(mut self, strategy: Strategy) -> Self {
        self.strategy = strategy;
        self
    }

    /// Sets the rate limit of clean-ups in orders, holds or keys per second, 1 or more; `None` for no limit. A
    /// clean-up pauses between batches and holds no lock during a pause. A batch has 50 to 2,000 rows, as many
    /// as take about 50 ms, for which buyers of its products may wait.
    ///
    /// At the default of 20,000, concurrent checkouts keep more than half of their speed on a machine with 2
    /// cores, on which a clean-up without a limit handles twice as many rows when nothing else runs: see `cargo
    /// bench --bench checkout`.
    pub const fn with_cleanup_rate_limit(mut self, per_second: Option<u32>) -> Self {
        self.cleanup_rate_limit = per_second;
        self
    }

    /// Sets a hook that runs for every accepted checkout, in its transaction; also for
    /// [`checkout_in`](Self::checkout_in). A sale then takes several round trips.
    pub fn with_hook(mut self, hook: Arc<dyn OnAccepted>) -> Self {
        self.hook = hook::Hook(Some(hook));
        self.executor.prove_transactions();
        self
    }

    /// Keeps connections from one operation to the next, over all clones of this inventory: an operation that
    /// follows within 2 ms does not wait for the pool, which pings each connection on its return. Under load, this
    /// saves a round trip per operation; see `cargo bench --bench checkout`.
    ///
    /// A connection returns to the pool after 16 operations, after 2 ms without one, after an operation that
    /// failed, when an operation waits for the pool, and when the pool is closed. So other users of the pool wait
    /// for 16 operations at most. The host's `before_acquire` and `after_release` and the ping of
    /// `test_before_acquire` run once for up to 16 operations: do not use it if such a hook has to run for each
    /// operation.
    ///
    /// With a [hook](Self::with_hook), which may change the session, no connection is kept.
    ///
    /// # Default
    ///
    /// Every operation takes its connection out of the pool and returns it.
    ///
    /// ```no_run
    /// use optilock::inventory::PgInventory;
    ///
    /// # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = optilock::postgres::pool_options().connect("postgres://localhost/shop").await?;
    /// let shop = PgInventory::new(pool).with_connection_reuse();
    /// # let _ = shop;
    /// # Ok(()) }
    /// ```
    pub fn with_connection_reuse(mut self) -> Self {
        self.executor.reuse_connections();
        self
    }

    /// Returns counts of the calls so far, over all clones of this inventory in this process.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.executor.stats()
    }

    /// Returns the movements of all products after `position`, at most `limit` of them (1 to 10,000), and the
    /// position after them. A reader that continues from there gets each movement exactly once, also those of
    /// transactions that commit in another order than they began.
    ///
    /// A movement is returned when every transaction that began to write before it has ended: a transaction
    /// that stays open, in any database of the server, delays the feed. On an empty page, there is nothing to
    /// read yet. [`movements`](crate::inventory::Inventory::movements) reads one product and is never delayed.
    ///
    /// ```no_run
    /// use optilock::inventory::{Error, FeedPosition, PgInventory};
    ///
    /// # async fn doc(shop: PgInventory, stored: String) -> Result<(), Error> {
    /// let mut position: FeedPosition = stored.parse()?; // `FeedPosition::START` at first
    /// let page = shop.movements_since(&position, 1_000).await?;
    /// for movement in &page.movements {
    ///     // .. store it, in one transaction with `page.next` ..
    /// }
    /// position = page.next;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`] when the position is ahead of the database: it belongs to another one, or the
    /// database was restored from a dump. Those of the database.
    pub async fn movements_since(
        &self,
        position: &FeedPosition,
        limit: u32,
    ) -> Result<MovementFeed, Error> {
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(feed::since(conn, position, limit));
        self.executor.read("movements since", work).await
    }

    pub(crate) const fn executor(&self) -> &Executor {
        &self.executor
    }

    pub(crate) const fn hook(&self) -> &hook::Hook {
        &self.hook
    }

    pub(crate) const fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    pub(crate) const fn sale<'a>(&'a self, request: &'a Checkout) -> Sale<'a> {
        Sale {
            executor: &self.executor,
            strategy: self.strategy,
            hook: &self.hook,
            request,
        }
    }
}

#[async_trait]
impl Inventory for PgInventory {
    async fn add_product(&self, new: NewProduct) -> Result<Product, Error> {
        let (token, new) = (Uuid::now_v7(), &new);
        change::exactly_once(
            &self.executor,
            "add product",
            token,
            Late::NotCommitted,
            &|conn, _| Box::pin(products::add(conn, new, token)),
        )
        .await
    }

    async fn product(&self, sku: &Sku) -> Result<Product, Error> {
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(products::find(conn, sku));
        self.executor.read("product", work).await
    }

    async fn products(&self, page: Page<Sku>) -> Result<Vec<Product>, Error> {
        let page = &page;
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(products::page(conn, page));
        self.executor.read("products", work).await
    }

    async fn products_of(&self, skus: &[Sku]) -> Result<Vec<Product>, Error> {
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(products::of(conn, skus));
        self.executor.read("products of", work).await
    }

    async fn product_at(&self, sku: &Sku, expected: Version) -> Result<Product, Error> {
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(products::at(conn, sku, expected));
        self.executor.read("product at", work).await
    }

    async fn update_product(&self, changed: &Product) -> Result<Product, Error> {
        let token = Uuid::now_v7();
        change::exactly_once(
            &self.executor,
            "update product",
            token,
            Late::Refused,
            &|conn, _| Box::pin(products::edit(conn, changed, token)),
        )
        .await
    }

    async fn retire_product(&self, sku: &Sku, expected: Version) -> Result<(), Error> {
        let token = Uuid::now_v7();
        change::exactly_once(
            &self.executor,
            "retire product",
            token,
            Late::Refused,
            &|conn, _| Box::pin(products::retire(conn, sku, expected, token)),
        )
        .await
        .map(drop)
    }

    async fn pause(&self, sku: &Sku) -> Result<Product, Error> {
        change::pause(&self.executor, "pause", sku, true).await
    }

    async fn resume(&self, sku: &Sku) -> Result<Product, Error> {
        change::pause(&self.executor, "resume", sku, false).await
    }

    async fn adjust_stock(&self, adjustment: Adjustment) -> Result<Product, Error> {
        adjust::exactly_once(&self.executor, &adjustment).await
    }

    async fn count_stock(
        &self,
        sku: &Sku,
        expected: Version,
        counted: Stock,
        reason: &str,
    ) -> Result<Product, Error> {
        let token = Uuid::now_v7();
        change::exactly_once(
            &self.executor,
            "count stock",
            token,
            Late::Refused,
            &|conn, _| Box::pin(products::count(conn, sku, expected, counted, reason, token)),
        )
        .await
    }

    async fn checkout(&self, request: Checkout) -> Result<Order, Error> {
        let clock = self.traffic.clock();
        let answer = match request.check() {
            Ok(()) => self.sale(&request).exactly_once(&clock, false).await,
            Err(invalid) => Err(invalid),
        };
        clock.stop(&answer);
        answer
    }

    async fn order(&self, id: OrderId) -> Result<Order, Error> {
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(orders::find(conn, id));
        self.executor.read("order", work).await
    }

    async fn orders(&self, filter: OrderFilter, page: Page<OrderId>) -> Result<Vec<Order>, Error> {
        let (filter, page) = (&filter, &page);
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(orders::page(conn, filter, page));
        self.executor.read("orders", work).await
    }

    async fn step(&self, step: OrderStep) -> Result<Order, Error> {
        orders::change::step(&self.executor, &step, &Doubt::default()).await
    }

    async fn return_items(&self, request: ReturnRequest) -> Result<Order, Error> {
        let (expected, doubt, request) = (request.expected, &Doubt::default(), &request);
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(returns::make(conn, request, doubt));
        orders::change::exactly_once(&self.executor, "return items", expected, doubt, work).await
    }

    async fn cleanup_failed_orders(&self, older_than: Duration) -> Result<Cleanup, Error> {
        let task = Orders::older_than(older_than);
        let done = clean_up(&self.executor, self.cleanup_rate_limit, &task);
        done.await.map(|done| done.cleanup)
    }

    async fn cleanup_idempotency_keys(&self, older_than: Duration) -> Result<u64, Error> {
        let task = Keys { older_than };
        let done = clean_up(&self.executor, self.cleanup_rate_limit, &task);
        done.await.map(|done| done.keys)
    }

    async fn reserve(&self, request: Reserve) -> Result<Reservation, Error> {
        reserve::exactly_once(&self.executor, &request).await
    }

    async fn reservation(&self, id: ReservationId) -> Result<Reservation, Error> {
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(reservations::find(conn, id));
        self.executor.read("reservation", work).await
    }

    async fn extend(&self, id: ReservationId, by: Duration) -> Result<Reservation, Error> {
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(reservations::extend(conn, id, by));
        reservations::step(&self.executor, "extend", work).await
    }

    async fn release(&self, id: ReservationId) -> Result<(), Error> {
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(reservations::release(conn, id));
        reservations::step(&self.executor, "release", work).await
    }

    async fn cleanup_reservations(&self) -> Result<Cleanup, Error> {
        let task = Holds::expired();
        let done = clean_up(&self.executor, self.cleanup_rate_limit, &task);
        done.await.map(|done| done.cleanup)
    }

    async fn movements(&self, sku: &Sku, page: Page<Version>) -> Result<Vec<Movement>, Error> {
        let page = &page;
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(movements::page_of(conn, sku, page));
        self.executor.read("movements", work).await
    }

    async fn report(&self, window: Duration) -> Result<Report, Error> {
        let rates = &self.traffic.over(window);
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(report::report(conn, window, rates));
        self.executor.read("report", work).await
    }

    async fn audit(&self) -> Result<Audit, Error> {
        let work: Work<'_, '_, _> = &|conn, _| Box::pin(audit::audit(conn));
        self.executor.read("audit", work).await
    }
}
