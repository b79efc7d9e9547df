//! The inventory on PostgreSQL.

mod archive;
mod audit;
pub(crate) mod checkout;
mod cleanup;
pub(crate) mod dialect;
mod error;
pub(crate) mod executor;
pub(crate) mod hook;
mod import;
mod in_transaction;
mod ledger;
mod migrate;
mod operations;
pub(crate) mod orders;
mod outbox;
mod products;
pub(crate) mod reservations;
pub(crate) mod row;
pub(crate) mod schema;
pub(crate) mod sql;
mod stats;
mod strategy;
pub(crate) mod types;

use std::sync::Arc;

use sqlx::PgPool;

#[cfg(doc)]
use super::{api::Inventory, model::ErrorKind};
use super::{
    model::{Checkout, Error, FeedPosition, MovementFeed},
    traffic::Traffic,
};
use crate::RetryPolicy;

use checkout::Sale;
pub use dialect::Dialect;
use executor::{Executor, Work};
pub use hook::{Accepted, Change, OnAccepted, Refusals};
use hook::{Effects, Hook};
use ledger::feed;
pub(crate) use migrate::migrations;
pub use migrate::{MigrateError, migrate, migrate_schema};
use schema::Schema;
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
    effects: Effects,
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
            effects: Effects::default(),
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

    /// Uses the tables of another schema than `optilock`: one shop, one schema. Create them by
    /// [`migrate_schema`](crate::migrate_schema). The statements are built once for this inventory and its clones.
    ///
    /// A connection keeps the prepared statements of every schema that it has served, 100 of them unless
    /// [`statement_cache_capacity`](sqlx::postgres::PgConnectOptions::statement_cache_capacity) says otherwise.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`](crate::inventory::ErrorKind::Invalid) for a name that is empty, has more than 63 bytes
    /// or contains NUL, or that PostgreSQL reserves (`pg_..`, `information_schema`). Every other name is quoted.
    pub fn in_schema(mut self, name: &str) -> Result<Self, Error> {
        let dialect = self.schema().dialect();
        self.executor
            .set_schema(Schema::new(name)?.with_dialect(dialect));
        self.traffic = Arc::default();
        Ok(self)
    }

    /// Sets the SQL of the engine. Create the tables by [`migrate`](Self::migrate), which has the same dialect.
    ///
    /// # Default
    ///
    /// [`Dialect::PostgreSql`], which is also that of Citus.
    pub fn with_dialect(mut self, dialect: Dialect) -> Self {
        let schema = self.schema().with_dialect(dialect);
        self.executor.set_schema(schema);
        self
    }

    /// Creates the tables of this inventory, or brings them up to date: [`migrate`](crate::migrate) for its pool, its
    /// [schema](Self::in_schema) and its [dialect](Self::with_dialect).
    ///
    /// ```no_run
    /// use optilock::inventory::PgInventory;
    ///
    /// # async fn doc(pool: sqlx::PgPool) -> Result<(), Box<dyn std::error::Error>> {
    /// let shop = PgInventory::new(pool).in_schema("shop_042")?;
    /// shop.migrate().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`migrate`](crate::migrate).
    pub async fn migrate(&self) -> Result<(), MigrateError> {
        migrate::run(self.executor.pool(), self.schema()).await
    }

    pub(crate) const fn schema(&self) -> &Schema {
        self.executor.schema()
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
        self.effects.hook = Hook(Some(hook));
        self.executor.prove_transactions();
        self
    }

    /// Writes every accepted checkout into the outbox, from which [`outbox_since`](Self::outbox_since) reads it; also
    /// those by [`checkout_in`](Self::checkout_in). Off by default.
    ///
    /// The entry is written by the statement of the sale, which takes one insert more and no further round trip:
    /// it is stored if and only if the order is. A replayed order has the entry of its first checkout. No other step
    /// of an order writes one: neither payment nor cancellation, expiry, [`revive`] or a return.
    ///
    /// Every entry stays until [`acknowledge_outbox`](Self::acknowledge_outbox) deletes it, and every process that
    /// sells has to be set to the same. A role that does not own the tables needs
    /// `INSERT` and `SELECT` on `optilock.outbox` to sell, and also `UPDATE` and `DELETE` to acknowledge.
    ///
    /// ```no_run
    /// use optilock::inventory::{Error, OutboxPosition, PgInventory};
    ///
    /// # async fn doc(pool: sqlx::PgPool) -> Result<(), Error> {
    /// let shop = PgInventory::new(pool).with_outbox();
    /// // .. checkouts, and in a task of its own:
    /// let page = shop.outbox_since(&OutboxPosition::START, 100).await?;
    /// for entry in &page.entries {
    ///     println!("order {} of {}", entry.order.id, entry.order.total); // .. publish it ..
    /// }
    /// shop.acknowledge_outbox(&page.next).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// [`revive`]: crate::inventory::Inventory::revive
    pub const fn with_outbox(mut self) -> Self {
        self.effects.outbox = true;
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
        let feed = self.executor.read("movements since", work).await?;
        if !feed.movements.is_empty() {
            // A reader that is ahead of the standby would skip what is written after a failover.
            self.executor.shown_is_replicated().await?;
        }
        Ok(feed)
    }

    pub(crate) const fn executor(&self) -> &Executor {
        &self.executor
    }

    pub(crate) const fn executor_mut(&mut self) -> &mut Executor {
        &mut self.executor
    }

    /// Returns the effects of its checkouts.
    pub(crate) const fn effects(&self) -> &Effects {
        &self.effects
    }

    pub(crate) const fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    pub(crate) const fn sale<'a>(&'a self, request: &'a Checkout) -> Sale<'a> {
        Sale {
            executor: &self.executor,
            strategy: self.strategy,
            effects: &self.effects,
            request,
        }
    }
}
