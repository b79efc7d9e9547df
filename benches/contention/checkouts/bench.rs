//! The bench: a database of its own, with products for each method.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use criterion::{BenchmarkId, Criterion, Throughput};
use optilock::inventory::{Inventory, Money, NewProduct, Sku, Stock};
use support::{Server, database::Database};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
};

use super::{BUYERS, Measured, PRODUCTS, method::Method, shop::Shop};
use crate::median;

/// The end of a turn.
#[derive(Clone, Copy)]
pub(super) enum End {
    /// After this number of orders by each buyer.
    Orders(u64),
    At(Instant),
}

pub(super) struct Bench {
    pub(super) runtime: Runtime,
    pub(super) shop: Arc<Shop>,
    /// Products for each method, so that no method updates rows that another has written.
    skus: Vec<Arc<[Sku]>>,
    pub(super) database: Database,
}

impl Bench {
    pub(super) fn open(server: &Server) -> Self {
        let runtime = Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.expect("a runtime can be built");
        let (shop, skus, database) = runtime.block_on(async {
            let database = server.create_database("checkouts").await;
            let database = database.expect("a database can be created");
            let shop = Shop::open(database.options()).await;
            let migrated = optilock::migrate(&shop.pool).await;
            migrated.expect("the migrations succeed");
            let mut skus = Vec::new();
            for method in Method::ALL {
                skus.push(products(&shop, method).await);
            }
            (Arc::new(shop), skus, database)
        });
        Self {
            runtime,
            shop,
            skus,
            database,
        }
    }

    pub(super) fn skus(&self, method: Method) -> &Arc<[Sku]> {
        &self.skus[method.index()]
    }

    /// Returns the orders per second of one turn.
    pub(super) fn turn(&self, method: Method, buyers: u64, products: u64, end: End) -> f64 {
        self.turn_at(&self.shop, method, buyers, products, end)
    }

    /// As [`Self::turn`], over the connections of another shop.
    pub(super) fn turn_at(
        &self,
        shop: &Arc<Shop>,
        method: Method,
        buyers: u64,
        products: u64,
        end: End,
    ) -> f64 {
        let (orders, elapsed) = self.sell(shop, method, buyers, products, end);
        orders as f64 / elapsed.as_secs_f64()
    }

    fn sell(
        &self,
        shop: &Arc<Shop>,
        method: Method,
        buyers: u64,
        products: u64,
        end: End,
    ) -> (u64, Duration) {
        let skus = self.skus(method);
        let orders = Arc::new(AtomicU64::new(0));
        let start = Instant::now();
        self.runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for buyer in 0..buyers {
                let (shop, skus) = (Arc::clone(shop), Arc::clone(skus));
                let orders = Arc::clone(&orders);
                tasks.spawn(async move {
                    let mut random = buyer * 7_919;
                    let mut count = 0;
                    loop {
                        match end {
                            End::Orders(limit) if count == limit => break,
                            End::At(end) if Instant::now() >= end => break,
                            _ => {}
                        }
                        random = random
                            .wrapping_mul(6_364_136_223_846_793_005)
                            .wrapping_add(1);
                        let sku = &skus[((random >> 33) % products) as usize];
                        shop.buy(method, sku).await;
                        count += 1;
                    }
                    orders.fetch_add(count, Relaxed);
                });
            }
            tasks.join_all().await;
        });
        (orders.load(Relaxed), start.elapsed())
    }

    pub(super) fn measure(&self, criterion: &mut Criterion) {
        for products in PRODUCTS {
            let mut group = criterion.benchmark_group(format!("checkout of {products} products"));
            group
                .sample_size(10)
                .measurement_time(Duration::from_secs(1))
                .warm_up_time(Duration::from_millis(100));
            for buyers in BUYERS {
                group.throughput(Throughput::Elements(buyers));
                for method in Method::ALL {
                    let id = BenchmarkId::new(method.name(), buyers);
                    group.bench_function(id, |bencher| {
                        bencher.iter_custom(|times| {
                            let end = End::Orders(times);
                            self.sell(&self.shop, method, buyers, products, end).1
                        });
                    });
                }
            }
            group.finish();
        }
    }

    /// Measures the methods in turns.
    pub(super) fn compare(
        &self,
        products: u64,
        buyers: u64,
        rounds: usize,
        turn: Duration,
    ) -> Measured {
        let mut rates = Method::ALL.map(|_| Vec::new());
        for _ in 0..rounds {
            for (method, rates) in Method::ALL.into_iter().zip(&mut rates) {
                let end = End::At(Instant::now() + turn);
                rates.push(self.turn(method, buyers, products, end));
            }
        }
        Measured {
            products,
            buyers,
            rates: rates.map(|mut rates| median(&mut rates)),
        }
    }

    /// Audits the inventory and drops the database.
    pub(super) fn close(self) {
        let Self {
            runtime,
            shop,
            database,
            ..
        } = self;
        runtime.block_on(async {
            let drained = shop.batched.shutdown(Duration::from_secs(30)).await;
            drained.expect("every checkout has its answer");
            let audit = shop.inventory.audit().await;
            let audit = audit.expect("the audit completes");
            assert!(audit.is_clean(), "{audit}");
            shop.pool.close().await;
            let removed = database.remove().await;
            removed.expect("the database can be dropped");
        });
    }
}

async fn products(shop: &Shop, method: Method) -> Arc<[Sku]> {
    let mut skus = Vec::new();
    for number in 0..PRODUCTS[PRODUCTS.len() - 1] {
        let sku = Sku::new(format!("{method:?}-{number:04}")).expect("a valid SKU");
        let price = Money::new(100, "MXN".parse().expect("a valid currency"));
        let new = NewProduct::new(sku, "Pot", price.expect("a valid price"));
        let added = shop.inventory.add_product(new.with_stock(Stock::MAX)).await;
        skus.push(added.expect("a new product").sku);
    }
    Arc::from(skus)
}
