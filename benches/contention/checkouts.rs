//! Checkouts of one unit by every strategy, over so many buyers and products. Everybody writes the same
//! rows, ledger and idempotency keys included, over 32 connections: with one for each of 256 buyers a
//! server of 2 cores spends its time on switching between them.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use criterion::{BenchmarkId, Criterion, Throughput};
use optilock::{
    inventory::{
        BATCH, BatchOptions, BatchedInventory, Checkout, Inventory, Line, Money, NewProduct,
        OrderId, PgInventory, Quantity, Sku, Stock, Strategy,
    },
    postgres::pool_options,
    sqlx::{self, PgPool, postgres::PgConnectOptions},
};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
};
use uuid::Uuid;

use crate::{median, network};
use support::{Server, by_hand, database::Database};

const BUYERS: [u64; 6] = [1, 2, 8, 32, 128, 256];
const PRODUCTS: [u64; 3] = [1, 10, 1_000];

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Way {
    ByHand,
    Optimistic,
    Pessimistic,
    Guarded,
    BatchedInventory,
}

impl Way {
    pub(crate) const ALL: [Self; 5] = [
        Self::ByHand,
        Self::Optimistic,
        Self::Pessimistic,
        Self::Guarded,
        Self::BatchedInventory,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::ByHand => "for update by hand",
            Self::Optimistic => "optimistic",
            Self::Pessimistic => "pessimistic",
            Self::Guarded => "guarded",
            Self::BatchedInventory => "combined",
        }
    }
}

/// Orders per second of each way, by so many buyers of so many products.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) products: u64,
    pub(crate) buyers: u64,
    pub(crate) rates: [f64; Way::ALL.len()],
}

/// When a turn ends.
#[derive(Clone, Copy)]
enum End {
    /// After so many orders of each buyer.
    Orders(u64),
    At(Instant),
}

struct Shop {
    pool: PgPool,
    inventory: PgInventory,
    combined: BatchedInventory,
}

impl Shop {
    async fn buy(&self, way: Way, sku: &Sku) {
        let key = Uuid::now_v7().to_string();
        if way == Way::ByHand {
            let bought = by_hand::order(
                &self.pool,
                OrderId::new().uuid(),
                sku.as_str(),
                Some(("buyer", &key)),
            )
            .await;
            assert!(bought.expect("the database answers"), "there is plenty");
            return;
        }
        let line = Line::new(sku.clone(), Quantity::ONE);
        let request = Checkout::new([line]).expect("a cart");
        let request = request.with_customer("buyer").with_idempotency_key(key);
        let by = |strategy| self.inventory.clone().with_strategy(strategy);
        let order = match way {
            Way::Optimistic => by(Strategy::Optimistic).checkout(request).await,
            Way::Pessimistic => by(Strategy::Pessimistic).checkout(request).await,
            Way::BatchedInventory => self.combined.checkout(request).await,
            _ => self.inventory.checkout(request).await,
        };
        order.expect("there is plenty, and conflicts don't escape");
    }
}

struct Bench {
    runtime: Runtime,
    shop: Arc<Shop>,
    /// For each way its own, so that none works on what another has left.
    skus: Vec<Arc<[Sku]>>,
    database: Option<Database>,
}

impl Shop {
    async fn open(options: PgConnectOptions) -> Self {
        let pool = pool_options()
            .max_connections(32)
            .min_connections(32)
            .acquire_timeout(Duration::from_secs(60))
            .connect_with(options)
            .await
            .expect("the database can be reached");
        let inventory = PgInventory::new(pool.clone());
        Self {
            pool,
            combined: BatchedInventory::new(inventory.clone(), BatchOptions::new()),
            inventory,
        }
    }
}

impl Bench {
    fn open(server: &Server) -> Self {
        let runtime = Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (shop, skus, database) = runtime.block_on(async {
            let database = server.create_database("checkouts").await;
            let database = database.expect("a database of our own");
            let shop = Shop::open(database.options()).await;
            let migrated = optilock::migrate(&shop.pool).await;
            migrated.expect("migrations apply");
            let mut skus = Vec::new();
            for way in Way::ALL {
                let mut own = Vec::new();
                for number in 0..PRODUCTS[PRODUCTS.len() - 1] {
                    let sku = Sku::new(format!("{way:?}-{number:04}")).expect("a SKU");
                    let price = Money::new(100, "MXN".parse().expect("a currency"));
                    let new = NewProduct::new(sku, "Pot", price.expect("a price"));
                    let added = shop.inventory.add_product(new.with_stock(Stock::MAX)).await;
                    own.push(added.expect("a new product").sku);
                }
                skus.push(Arc::from(own));
            }
            (Arc::new(shop), skus, database)
        });
        Self {
            runtime,
            shop,
            skus,
            database: Some(database),
        }
    }

    /// How many orders, in what time.
    fn turn(&self, way: Way, buyers: u64, products: u64, end: End) -> (u64, Duration) {
        self.turn_at(&self.shop, way, buyers, products, end)
    }

    fn turn_at(
        &self,
        shop: &Arc<Shop>,
        way: Way,
        buyers: u64,
        products: u64,
        end: End,
    ) -> (u64, Duration) {
        let skus = &self.skus[Way::ALL
            .iter()
            .position(|it| *it == way)
            .expect("one of them")];
        let orders = Arc::new(AtomicU64::new(0));
        let start = Instant::now();
        self.runtime.block_on(async {
            let mut crowd = JoinSet::new();
            for buyer in 0..buyers {
                let (shop, skus) = (Arc::clone(shop), Arc::clone(skus));
                let orders = Arc::clone(&orders);
                crowd.spawn(async move {
                    let mut at = buyer * 7_919;
                    let mut made = 0;
                    loop {
                        match end {
                            End::Orders(most) if made == most => break,
                            End::At(end) if Instant::now() >= end => break,
                            _ => {}
                        }
                        at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        let sku = &skus[((at >> 33) % products) as usize];
                        shop.buy(way, sku).await;
                        made += 1;
                    }
                    orders.fetch_add(made, Relaxed);
                });
            }
            crowd.join_all().await;
        });
        (orders.load(Relaxed), start.elapsed())
    }

    fn measure(&self, criterion: &mut Criterion) {
        for products in PRODUCTS {
            let mut group = criterion.benchmark_group(format!("checkout of {products} products"));
            group
                .sample_size(10)
                .measurement_time(Duration::from_secs(1))
                .warm_up_time(Duration::from_millis(100));
            for buyers in BUYERS {
                group.throughput(Throughput::Elements(buyers));
                for way in Way::ALL {
                    let id = BenchmarkId::new(way.name(), buyers);
                    group.bench_function(id, |bencher| {
                        bencher.iter_custom(|times| {
                            self.turn(way, buyers, products, End::Orders(times)).1
                        });
                    });
                }
            }
            group.finish();
        }
    }

    fn compare(&self, products: u64, buyers: u64, rounds: usize, turn: Duration) -> Measured {
        let mut rates = Way::ALL.map(|_| Vec::new());
        for _ in 0..rounds {
            for (way, rates) in Way::ALL.into_iter().zip(&mut rates) {
                let (orders, took) =
                    self.turn(way, buyers, products, End::At(Instant::now() + turn));
                rates.push(orders as f64 / took.as_secs_f64());
            }
        }
        Measured {
            products,
            buyers,
            rates: rates.map(|mut rates| median(&mut rates)),
        }
    }

    /// The statement behind `combined` on one connection, with everything made beforehand.
    fn batches_alone(&self, batches: usize) -> f64 {
        const SIZE: usize = 256;
        let sku = self.skus[4][0].as_str();
        let made: Vec<(Vec<Uuid>, Vec<String>)> = (0..batches)
            .map(|_| {
                let ids = (0..SIZE).map(|_| Uuid::now_v7()).collect();
                (ids, (0..SIZE).map(|_| Uuid::now_v7().to_string()).collect())
            })
            .collect();
        self.runtime.block_on(async {
            let mut conn = self.shop.pool.acquire().await.expect("a connection");
            let start = Instant::now();
            for (ids, keys) in &made {
                let batch = sqlx::query(BATCH)
                    .bind([sku])
                    .bind([SIZE as i64])
                    .bind([100_i64])
                    .bind(["MXN"])
                    .bind([None::<i64>])
                    .bind(ids)
                    .bind([Some("buyer"); SIZE])
                    .bind(keys)
                    .bind([100_i64; SIZE])
                    .bind(["MXN"; SIZE])
                    .bind(ids)
                    .bind([sku; SIZE])
                    .bind([1_i64; SIZE]);
                batch.fetch_all(&mut *conn).await.expect("it is written");
            }
            (batches * SIZE) as f64 / start.elapsed().as_secs_f64()
        })
    }

    /// The same over a network: what costs more round trips loses more.
    fn over_a_network(&self, rounds: usize, turn: Duration) -> Table {
        const WAYS: [Way; 3] = [Way::ByHand, Way::Guarded, Way::BatchedInventory];
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED);
        let title = "one product, 256 buyers:\nround trip".to_owned();
        let mut header = vec![title];
        header.extend(WAYS.iter().map(|way| format!("{}\norders/s", way.name())));
        header.extend(
            WAYS[1..]
                .iter()
                .map(|way| format!("{}\nx by hand", way.name())),
        );
        table.set_header(header);
        let options = self.database.as_ref().expect("not closed yet").options();
        for micros in [0, 500, 2_000] {
            let shop = if micros == 0 {
                Arc::clone(&self.shop)
            } else {
                let far = network::between(options.clone(), Duration::from_micros(micros));
                Arc::new(self.runtime.block_on(Shop::open(far)))
            };
            let mut rates = WAYS.map(|_| Vec::new());
            for _ in 0..rounds {
                for (way, rates) in WAYS.into_iter().zip(&mut rates) {
                    let end = End::At(Instant::now() + turn);
                    let (orders, took) = self.turn_at(&shop, way, 256, 1, end);
                    rates.push(orders as f64 / took.as_secs_f64());
                }
            }
            let rates = rates.map(|mut rates| median(&mut rates));
            let mut cells = vec![match micros {
                0 => "none added".to_owned(),
                _ => format!("{} ms", micros as f64 / 1_000.0),
            }];
            cells.extend(rates.iter().map(|rate| format!("{rate:.0}")));
            cells.extend(
                rates[1..]
                    .iter()
                    .map(|rate| format!("{:.1}", rate / rates[0])),
            );
            table.add_row(cells);
            if micros > 0 {
                self.runtime.block_on(shop.pool.close());
            }
        }
        for column in table.column_iter_mut() {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    fn close(mut self) {
        let database = self.database.take().expect("closed once");
        self.runtime.block_on(async {
            self.shop.combined.shutdown().await;
            let audit = self.shop.inventory.audit().await;
            let audit = audit.expect("the books can be read");
            assert!(audit.is_clean(), "{audit}");
            self.shop.pool.close().await;
            let removed = database.remove().await;
            removed.expect("our own database can be dropped");
        });
    }
}

fn table(products: u64, measured: &[&Measured]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    let title = match products {
        1 => "one product, buyers".to_owned(),
        _ => format!("{products} products, buyers"),
    };
    let mut header = vec![title, "by hand\norders/s".to_owned()];
    let others = &Way::ALL[1..];
    header.extend(
        others
            .iter()
            .map(|way| format!("{}\nx by hand", way.name())),
    );
    header.extend([
        "combined\norders/s".to_owned(),
        "combined\nx guarded".to_owned(),
    ]);
    table.set_header(header);
    for row in measured {
        let [by_hand, .., guarded, combined] = row.rates;
        let mut cells = vec![row.buyers.to_string(), format!("{by_hand:.0}")];
        cells.extend(
            row.rates[1..]
                .iter()
                .map(|rate| format!("{:.2}", rate / by_hand)),
        );
        cells.push(format!("{combined:.0}"));
        cells.push(format!("{:.2}", combined / guarded));
        table.add_row(cells);
    }
    for column in table.column_iter_mut() {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// By criterion itself for those that the filter lets through, and then the tables.
pub(crate) fn run(
    criterion: &mut Criterion,
    server: &Server,
    rounds: usize,
    only_a_test: bool,
) -> Vec<Measured> {
    let bench = Bench::open(server);
    bench.measure(criterion);
    let mut measured = Vec::new();
    let turn = Duration::from_millis(if only_a_test { 20 } else { 400 });
    if rounds > 0 {
        for products in PRODUCTS {
            for buyers in BUYERS {
                measured.push(bench.compare(products, buyers, rounds, turn));
            }
            let rows = measured.iter().filter(|row| row.products == products);
            println!("{}", table(products, &rows.collect::<Vec<_>>()));
        }
        let mut alone: Vec<f64> = Vec::new();
        let mut combined: Vec<f64> = Vec::new();
        for _ in 0..rounds {
            alone.push(bench.batches_alone(if only_a_test { 1 } else { 100 }));
            let (orders, took) = bench.turn(
                Way::BatchedInventory,
                256,
                1,
                End::At(Instant::now() + turn * 3),
            );
            combined.push(orders as f64 / took.as_secs_f64());
        }
        let (alone, combined) = (median(&mut alone), median(&mut combined));
        println!(
            "The batch's statement alone, by one connection, 256 at a time: {alone:.0} orders/s. \
             BatchedInventory, 256 buyers: {combined:.0}, {:.2} of that.",
            combined / alone
        );
        println!("{}", bench.over_a_network(rounds.min(3), turn * 3));
    }
    bench.close();
    measured
}
