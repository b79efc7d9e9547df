//! The bench: a database of its own with two kinds of products.

use std::time::{Duration, Instant};

use optilock::{
    inventory::{Checkout, Inventory, Line, Money, NewProduct, PgInventory, Quantity, Sku, Stock},
    postgres::pool_options,
    sqlx::{self, AssertSqlSafe, PgPool},
};
use support::{Server, database::Database};
use tokio::runtime::{Builder, Runtime};

/// Products that have unpaid orders.
pub(crate) const UNPAID: u64 = 1_000;
/// Products of all other checkouts.
pub(crate) const OTHERS: u64 = 1_000;

pub(crate) struct Bench {
    pub(crate) runtime: Runtime,
    pub(crate) pool: PgPool,
    pub(crate) inventory: PgInventory,
    pub(crate) database: Database,
}

impl Bench {
    pub(crate) fn open(server: &Server) -> Self {
        let runtime = Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.expect("a runtime can be built");
        let (pool, inventory, database) = runtime.block_on(async {
            let database = server.create_database("checkout").await;
            let database = database.expect("a database can be created");
            let pool = pool_options()
                .max_connections(32)
                .min_connections(32)
                .acquire_timeout(Duration::from_secs(60))
                .connect_with(database.options())
                .await
                .expect("the database accepts connections");
            optilock::migrate(&pool)
                .await
                .expect("the migrations succeed");
            let inventory = PgInventory::new(pool.clone());
            for (kind, count) in [("unpaid", UNPAID), ("other", OTHERS)] {
                for number in 0..count {
                    let price = Money::new(100, "MXN".parse().expect("a valid currency"));
                    let price = price.expect("a valid price");
                    let product = NewProduct::new(sku(kind, number), kind, price);
                    let stock = Stock::new(1_000_000_000).expect("a valid stock");
                    let added = inventory.add_product(product.with_stock(stock)).await;
                    added.expect("a new product");
                }
            }
            (pool, inventory, database)
        });
        Self {
            runtime,
            pool,
            inventory,
            database,
        }
    }

    /// Runs `operation` sequentially and returns its mean time.
    pub(crate) fn time(&self, times: u64, mut operation: impl AsyncFnMut(u64)) -> Duration {
        let start = Instant::now();
        self.runtime.block_on(async {
            for number in 0..times {
                operation(number).await;
            }
        });
        start.elapsed() / u32::try_from(times.max(1)).expect("fewer than 2^32")
    }

    /// Executes statements, then does what autovacuum and the checkpointer would do at some later time.
    pub(crate) async fn execute(&self, statements: String) {
        let mut transaction = self.pool.begin().await.expect("the pool has a connection");
        let executed = sqlx::raw_sql(AssertSqlSafe(statements));
        let executed = executed.execute(&mut *transaction).await;
        executed.expect("the statements succeed");
        transaction.commit().await.expect("the commit succeeds");
        for maintenance in ["VACUUM (ANALYZE)", "CHECKPOINT"] {
            let done = sqlx::raw_sql(maintenance).execute(&self.pool).await;
            done.expect("the maintenance succeeds");
        }
    }

    /// Drops the database.
    pub(crate) fn close(self) {
        let Self {
            runtime,
            pool,
            database,
            ..
        } = self;
        runtime.block_on(async {
            pool.close().await;
            let removed = database.remove().await;
            removed.expect("the database can be dropped");
        });
    }
}

pub(crate) fn sku(kind: &str, number: u64) -> Sku {
    Sku::new(format!("{kind}-{number}")).expect("a valid SKU")
}

/// Returns a cart with one unit of each of these products of the kind "other".
pub(crate) fn cart(numbers: impl IntoIterator<Item = u64>) -> Checkout {
    let lines = numbers.into_iter().map(|number| {
        let sku = sku("other", number % OTHERS);
        Line::new(sku, Quantity::ONE)
    });
    Checkout::new(lines).expect("a valid cart")
}
