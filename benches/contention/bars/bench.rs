//! The bench of one bar: a database of its own, so that no measurement pays for the rows of another.

use std::{sync::Arc, time::Duration};

use optilock::{
    inventory::{
        BatchOptions, BatchedInventory, Inventory, Money, NewProduct, PgInventory, Sku, Stock,
    },
    sqlx::PgPool,
};
use support::{Server, database::Database};
use tokio::runtime::{Builder, Runtime};

use super::{
    comparison::Candidate,
    seller::Seller,
    turn::{self, Turn},
};
use crate::pool::{self, CONNECTIONS};

/// The names of the candidates of most bars.
pub(super) const BY_HAND: &str = "for update by hand";
pub(super) const ONE_BY_ONE: &str = "one by one";
pub(super) const BATCHED: &str = "batched";

pub(super) struct Bench {
    pub(super) runtime: Runtime,
    pub(super) pool: PgPool,
    pub(super) plain: PgInventory,
    pub(super) batched: BatchedInventory,
    pub(super) database: Database,
}

impl Bench {
    pub(super) fn open(server: &Server, name: &str) -> Self {
        let runtime = Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.expect("a runtime can be built");
        let (pool, database) = runtime.block_on(async {
            let database = server.create_database(name).await;
            let database = database.expect("a database can be created");
            let pool = pool::open(database.options(), CONNECTIONS).await;
            let migrated = optilock::migrate(&pool).await;
            migrated.expect("the migrations succeed");
            (pool, database)
        });
        let plain = PgInventory::new(pool.clone());
        Self {
            batched: BatchedInventory::new(plain.clone(), BatchOptions::new()),
            plain,
            runtime,
            pool,
            database,
        }
    }

    /// Adds a product that is never sold out.
    pub(super) fn product(&self, name: &str) -> Sku {
        let sku = Sku::new(name).expect("a valid SKU");
        let price = Money::new(100, "MXN".parse().expect("a valid currency"));
        let new = NewProduct::new(sku, name, price.expect("a valid price"));
        let added = self.plain.add_product(new.with_stock(Stock::MAX));
        let added = self.runtime.block_on(added);
        added.expect("a new product").sku
    }

    /// Handwritten transactions, the inventory with a statement for each request, and with the queue.
    pub(super) fn sellers(&self) -> [(&'static str, Seller); 3] {
        [
            (BY_HAND, Seller::ByHand(self.pool.clone())),
            (ONE_BY_ONE, self.one_by_one()),
            (BATCHED, self.through_the_queue()),
        ]
    }

    pub(super) fn one_by_one(&self) -> Seller {
        Seller::Library(Arc::new(self.plain.clone()))
    }

    pub(super) fn through_the_queue(&self) -> Seller {
        Seller::Library(Arc::new(self.batched.clone()))
    }

    /// Returns a candidate for each seller: as many callers repeat the operation on a product of its own, so that
    /// no candidate updates a row that another one has written.
    pub(super) fn candidates<'a, F, Fut>(
        &'a self,
        sellers: impl IntoIterator<Item = (&'static str, Seller)>,
        callers: u64,
        operation: F,
    ) -> Vec<Candidate<'a>>
    where
        F: Fn(Seller, Sku) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = u64> + Send + 'static,
    {
        let sellers = sellers.into_iter();
        let candidate = |(name, seller): (&'static str, Seller)| {
            let sku = self.product(&format!("{name}, {callers}"));
            let operation = operation.clone();
            Candidate::new(name, move |window| {
                let (seller, sku) = (seller.clone(), sku.clone());
                let operation = operation.clone();
                self.turn(callers, window, move || {
                    operation(seller.clone(), sku.clone())
                })
            })
        };
        sellers.map(candidate).collect()
    }

    /// Runs one turn, as [`turn::take`].
    pub(super) fn turn<F, Fut>(&self, callers: u64, window: Duration, operation: F) -> Turn
    where
        F: Fn() -> Fut + Clone + Send + 'static,
        Fut: Future<Output = u64> + Send,
    {
        let turn = turn::take(callers, window, operation);
        self.runtime.block_on(turn)
    }

    /// Audits the inventory, also the rows that were written by hand, and drops the database.
    pub(super) fn close(self) {
        let Self {
            runtime,
            pool,
            plain,
            batched,
            database,
        } = self;
        runtime.block_on(async {
            batched
                .shutdown(Duration::from_secs(30))
                .await
                .expect("every request has its answer");
            let audit = plain.audit().await.expect("the audit completes");
            assert!(audit.is_clean(), "{audit}");
            pool.close().await;
            let removed = database.remove().await;
            removed.expect("the database can be dropped");
        });
    }
}
