//! What a checkout costs: by the lines of its cart, by the size of the catalogue, beside pgbench; a
//! reservation; and the clean-up of unpaid orders, alone, and beside checkouts of other products.
//!
//! `cargo bench --bench checkout` ends with tables; `-- tables` prints them alone. The server is durable,
//! as in production.

mod pgbench;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use criterion::{Criterion, Throughput};
use optilock::{
    inventory::{
        BatchOptions, BatchedInventory, Checkout, Inventory, Line, Money, NewProduct, OrderId,
        PgInventory, Quantity, Reserve, Sku, Stock,
    },
    postgres::pool_options,
    sqlx::{self, AssertSqlSafe, PgPool},
};
use support::{Durability, Server, database::Database};
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
};

/// Products with unpaid orders, and products that are bought meanwhile.
const PRODUCTS: u64 = 1_000;
const OTHERS: u64 = 1_000;
const BUYERS: u64 = 8;
const UNPAID_AFTER: Duration = Duration::from_secs(30 * 60);

/// So many orders of one line that nobody paid for an hour, in good books. What the last round left is
/// gone.
fn unpaid(orders: u64) -> String {
    format!(
        "TRUNCATE optilock.orders, optilock.order_lines, optilock.movements;
        UPDATE optilock.products SET stock = 1000000000, version = 1;
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after)
            SELECT sku, 1, 8, stock, stock FROM optilock.products;
        CREATE TEMP TABLE made ON COMMIT DROP AS
            SELECT gen_random_uuid() AS id, n, 'unpaid-' || n % {PRODUCTS} AS sku
            FROM generate_series(0, {orders} - 1) AS n;
        INSERT INTO optilock.orders (id, customer, total, currency, created_at, pending_since)
            SELECT id, 'customer-' || n % 5000, 100, 'MXN', at, at FROM made,
                LATERAL (SELECT now() - interval '1 hour' + n * interval '1 millisecond' AS at) t
            ORDER BY n;
        INSERT INTO optilock.order_lines (order_id, sku, quantity, price)
            SELECT id, sku, 1, 100 FROM made ORDER BY n;
        INSERT INTO optilock.movements (sku, version, kind, delta, stock_after, order_id)
            SELECT sku, 2 + n / {PRODUCTS}, 1, -1, 1000000000 - 1 - n / {PRODUCTS}, id FROM made ORDER BY n;
        UPDATE optilock.products p SET stock = p.stock - m.count, version = 1 + m.count
            FROM (SELECT sku, count(*) FROM made GROUP BY sku) m WHERE m.sku = p.sku"
    )
}

struct Bench {
    runtime: Runtime,
    pool: PgPool,
    shop: PgInventory,
    database: Option<Database>,
}

/// What one round of a comparison measured.
struct Round {
    /// Orders per second.
    swept_alone: f64,
    sold_alone: f64,
    swept_beside: f64,
    sold_beside: f64,
}

impl Bench {
    fn open(server: &Server) -> Self {
        let runtime = Builder::new_multi_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let (pool, shop, database) = runtime.block_on(async {
            let database = server.create_database("checkout").await;
            let database = database.expect("a database of our own");
            let pool = pool_options()
                .max_connections(32)
                .min_connections(32)
                .acquire_timeout(Duration::from_secs(60))
                .connect_with(database.options())
                .await
                .expect("the database can be reached");
            optilock::migrate(&pool).await.expect("migrations apply");
            let shop = PgInventory::new(pool.clone());
            for (kind, count) in [("unpaid", PRODUCTS), ("other", OTHERS)] {
                for number in 0..count {
                    let price = Money::new(100, "MXN".parse().expect("a currency"));
                    let product = NewProduct::new(sku(kind, number), kind, price.expect("a price"));
                    let stock = Stock::new(1_000_000_000).expect("a stock");
                    let added = shop.add_product(product.with_stock(stock)).await;
                    added.expect("a new product");
                }
            }
            (pool, shop, database)
        });
        Self {
            runtime,
            pool,
            shop,
            database: Some(database),
        }
    }

    async fn prepare(&self, orders: u64) {
        let mut transaction = self.pool.begin().await.expect("a connection");
        let fill = sqlx::raw_sql(AssertSqlSafe(unpaid(orders)));
        let filled = fill.execute(&mut *transaction).await;
        filled.expect("orders can be made");
        transaction.commit().await.expect("they are kept");
        // As autovacuum does in time, and a checkpoint that would come at any time.
        for tidy in ["VACUUM (ANALYZE)", "CHECKPOINT"] {
            let tidied = sqlx::raw_sql(tidy).execute(&self.pool).await;
            tidied.expect("our own database can be tidied");
        }
    }

    /// All of them, once; how many per second.
    async fn sweep(&self, pace: Option<u32>, orders: u64) -> f64 {
        let shop = self.shop.clone().with_cleanup_rate_limit(pace);
        let start = Instant::now();
        let swept = shop.cleanup_failed_orders(UNPAID_AFTER).await;
        let seconds = start.elapsed().as_secs_f64();
        assert_eq!(swept.expect("the database answers").orders, orders);
        orders as f64 / seconds
    }

    /// Buyers of other products, until they are told to stop; how many orders per second.
    async fn sell(&self, until: impl Future<Output = f64>) -> (f64, f64) {
        let (sold, done) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let mut buyers = JoinSet::new();
        for buyer in 0..BUYERS {
            let (shop, sold, done) = (self.shop.clone(), Arc::clone(&sold), Arc::clone(&done));
            buyers.spawn(async move {
                let mut number = buyer;
                while !done.load(Relaxed) {
                    number = (number * 7 + 13) % OTHERS;
                    let line = Line::new(sku("other", number), Quantity::ONE);
                    let cart = Checkout::new([line]).expect("a cart");
                    shop.checkout(cart).await.expect("there is plenty");
                    sold.fetch_add(1, Relaxed);
                }
            });
        }
        let (start, before) = (Instant::now(), sold.load(Relaxed));
        let result = until.await;
        let rate = (sold.load(Relaxed) - before) as f64 / start.elapsed().as_secs_f64();
        done.store(true, Relaxed);
        buyers.join_all().await;
        (rate, result)
    }

    fn round(&self, orders: u64, pace: u32) -> Round {
        self.runtime.block_on(async {
            self.prepare(orders).await;
            let swept_alone = self.sweep(None, orders).await;
            self.prepare(orders).await;
            let pause = Duration::from_secs_f64(orders as f64 / f64::from(pace));
            let (sold_alone, _) = self
                .sell(async {
                    tokio::time::sleep(pause).await;
                    0.0
                })
                .await;
            let (sold_beside, swept_beside) = self.sell(self.sweep(Some(pace), orders)).await;
            let audit = self.shop.audit().await.expect("the database answers");
            assert!(audit.is_clean(), "{audit}");
            Round {
                swept_alone,
                sold_alone,
                swept_beside,
                sold_beside,
            }
        })
    }

    /// The mean time of one, by one client.
    fn time(&self, times: u64, mut one: impl AsyncFnMut(u64)) -> Duration {
        let start = Instant::now();
        self.runtime.block_on(async {
            for number in 0..times {
                one(number).await;
            }
        });
        start.elapsed() / u32::try_from(times.max(1)).expect("not so many")
    }

    async fn buy(&self, number: u64, lines: u64) {
        let lines = (0..lines).map(|line| {
            let sku = sku("other", (number * 31 + line * 41) % OTHERS);
            Line::new(sku, Quantity::ONE)
        });
        let cart = Checkout::new(lines).expect("a cart");
        self.shop.checkout(cart).await.expect("there is plenty");
    }

    async fn reserve_and_release(&self, number: u64) {
        let held = [(sku("other", number % OTHERS), Quantity::ONE)];
        let held = Reserve::new(held).expect("a reservation");
        let held = self.shop.reserve(held).await.expect("there is plenty");
        self.shop.release(held.id).await.expect("it is there");
    }

    /// Beside a catalogue of a million.
    fn fill(&self, products: u64) {
        let fill = format!(
            "INSERT INTO optilock.products (sku, name, price, currency, stock)
                 SELECT 'filling-' || n, 'Pot', 100, 'MXN', 9 FROM generate_series(1, {products}) AS n;
             INSERT INTO optilock.movements (sku, version, kind, delta, stock_after)
                 SELECT 'filling-' || n, 1, 8, 9, 9 FROM generate_series(1, {products}) AS n"
        );
        self.runtime.block_on(async {
            let filled = sqlx::raw_sql(AssertSqlSafe(fill)).execute(&self.pool).await;
            filled.expect("products can be made");
            for tidy in ["VACUUM (ANALYZE)", "CHECKPOINT"] {
                let tidied = sqlx::raw_sql(tidy).execute(&self.pool).await;
                tidied.expect("our own database can be tidied");
            }
        });
    }

    /// Over 32 connections and as many products as there are others; orders per second.
    fn sell_over_32(&self, length: Duration) -> f64 {
        let sold = Arc::new(AtomicU64::new(0));
        let start = Instant::now();
        self.runtime.block_on(async {
            let mut buyers = JoinSet::new();
            for buyer in 0..32 {
                let (shop, sold) = (self.shop.clone(), Arc::clone(&sold));
                buyers.spawn(async move {
                    let mut at: u64 = buyer;
                    while start.elapsed() < length {
                        at = at.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                        let line = Line::new(sku("other", (at >> 33) % OTHERS), Quantity::ONE);
                        let cart = Checkout::new([line]).expect("a cart");
                        shop.checkout(cart).await.expect("there is plenty");
                        sold.fetch_add(1, Relaxed);
                    }
                });
            }
            buyers.join_all().await;
        });
        sold.load(Relaxed) as f64 / start.elapsed().as_secs_f64()
    }

    /// In turns: what one costs, and how many times the first.
    fn costs(&self, rounds: usize, times: u64, filling: u64) {
        const LINES: [u64; 3] = [1, 5, 20];
        let in_ms = |time: Duration| time.as_secs_f64() * 1_000.0;
        let mut carts = LINES.map(|_| Vec::new());
        let (mut reserved, mut large) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            for (lines, times_of) in LINES.into_iter().zip(&mut carts) {
                let time = self.time(times, async |number| self.buy(number, lines).await);
                times_of.push(in_ms(time));
            }
            let time = self.time(times, async |number| self.reserve_and_release(number).await);
            reserved.push(in_ms(time));
        }
        self.fill(filling);
        // Plans are made anew, and what is needed is read into memory.
        self.time(times, async |number| self.buy(number, 1).await);
        for _ in 0..rounds {
            let time = self.time(times, async |number| self.buy(number, 1).await);
            large.push(in_ms(time));
        }
        let first = median(carts[0].clone());
        let mut table = table(&["one client", "ms", "ratio"]);
        let mut row = |name: String, times: Vec<f64>| {
            let time = median(times);
            table.add_row([name, format!("{time:.3}"), format!("{:.2}", time / first)]);
        };
        for (lines, times) in LINES.into_iter().zip(carts) {
            row(format!("checkout, lines: {lines}"), times);
        }
        row("reserve and release a line".to_owned(), reserved);
        row(
            format!("checkout of a line, {filling} products more"),
            large,
        );
        println!("{}", aligned(table));
    }

    /// So many orders of one product, and 256 callers who cancel them; how many per second.
    fn cancel(&self, shop: &Arc<dyn Inventory>, orders: usize) -> f64 {
        const CALLERS: usize = 256;
        let each = |ids: &[OrderId]| {
            ids.chunks(ids.len().div_ceil(CALLERS))
                .map(Vec::from)
                .collect()
        };
        self.runtime.block_on(async {
            let options = BatchOptions::new().with_queue(orders);
            let combined = BatchedInventory::new(self.shop.clone(), options);
            let mut buyers = JoinSet::new();
            for _ in 0..orders {
                let combined = combined.clone();
                let line = Line::new(sku("other", 0), Quantity::ONE);
                let cart = Checkout::new([line]).expect("a cart");
                buyers.spawn(
                    async move { combined.checkout(cart).await.expect("there is plenty").id },
                );
            }
            let ids: Vec<Vec<OrderId>> = each(&buyers.join_all().await);
            let start = Instant::now();
            let mut callers = JoinSet::new();
            for ids in ids {
                let shop = Arc::clone(shop);
                callers.spawn(async move {
                    for id in ids {
                        shop.cancel(id, "refunded").await.expect("it is unpaid");
                    }
                });
            }
            callers.join_all().await;
            orders as f64 / start.elapsed().as_secs_f64()
        })
    }

    /// In turns: refunds of a hot product, by statements of their own and in batches.
    fn refunds(&self, rounds: usize, orders: usize) {
        let alone: Arc<dyn Inventory> = Arc::new(self.shop.clone());
        let options = BatchOptions::new();
        let combined: Arc<dyn Inventory> =
            Arc::new(BatchedInventory::new(self.shop.clone(), options));
        let (mut by_itself, mut in_batches) = (Vec::new(), Vec::new());
        for _ in 0..rounds {
            by_itself.push(self.cancel(&alone, orders));
            in_batches.push(self.cancel(&combined, orders * 9));
        }
        let (by_itself, in_batches) = (median(by_itself), median(in_batches));
        let mut table = table(&[
            "256 callers cancel orders of one product",
            "orders/s",
            "ratio",
        ]);
        for (name, rate) in [("each by itself", by_itself), ("combined", in_batches)] {
            let ratio = rate / by_itself;
            table.add_row([name.to_owned(), format!("{rate:.0}"), format!("{ratio:.2}")]);
        }
        println!("{}", aligned(table));
    }

    /// In turns with pgbench, if there is one.
    fn beside_pgbench(&self, rounds: usize, seconds: u64) {
        let url = self.database.as_ref().expect("not closed yet").url();
        let (mut ours, mut its, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let Some(pgbench) = pgbench::orders_per_second(url, seconds) else {
                println!("There is no pgbench here to compare with.");
                return;
            };
            let guarded = self.sell_over_32(Duration::from_secs(seconds));
            its.push(pgbench);
            ours.push(guarded);
            ratios.push(guarded / pgbench);
        }
        let mut table = table(&["32 connections, 1,000 products", "orders/s", "ratio"]);
        let mut row = |name: &str, rates, ratio: f64| {
            table.add_row([
                name.to_owned(),
                format!("{:.0}", median(rates)),
                format!("{ratio:.2}"),
            ]);
        };
        row("pgbench, the same statement", its, 1.0);
        row("guarded", ours, median(ratios));
        println!("{}", aligned(table));
    }

    fn measure(&self, criterion: &mut Criterion) {
        const ORDERS: u64 = 1_000;
        let mut group = criterion.benchmark_group("one client");
        group
            .sample_size(10)
            .measurement_time(Duration::from_secs(2));
        let many = |times: u64| u32::try_from(times).expect("not so many");
        for lines in [1, 5, 20] {
            group.bench_function(format!("checkout, lines: {lines}"), |bencher| {
                bencher.iter_custom(|times| {
                    self.time(times, async |number| self.buy(number, lines).await) * many(times)
                });
            });
        }
        group.bench_function("reserve and release a line", |bencher| {
            bencher.iter_custom(|times| {
                self.time(times, async |number| self.reserve_and_release(number).await)
                    * many(times)
            });
        });
        group.finish();
        let mut group = criterion.benchmark_group("clean-up");
        group
            .sample_size(10)
            .measurement_time(Duration::from_secs(5))
            .throughput(Throughput::Elements(ORDERS));
        group.bench_function("1,000 unpaid orders", |bencher| {
            bencher.iter_custom(|times| {
                let mut all = Duration::ZERO;
                for _ in 0..times {
                    self.runtime.block_on(self.prepare(ORDERS));
                    let start = Instant::now();
                    self.runtime.block_on(self.sweep(None, ORDERS));
                    all += start.elapsed();
                }
                all
            });
        });
        group.finish();
    }

    fn compare(&self, rounds: usize, orders: u64) {
        const PACE: u32 = 20_000;
        let rounds: Vec<Round> = (0..rounds).map(|_| self.round(orders, PACE)).collect();
        let figure = |of: fn(&Round) -> f64| median(rounds.iter().map(of).collect());
        let share = figure(|round| round.sold_beside / round.sold_alone);
        let title = format!(
            "clean-up of {orders} unpaid orders, median of {} rounds",
            rounds.len()
        );
        let mut table = table(&[&title, "orders/s", "ratio"]);
        let rows = [
            (
                "clean-up alone, as fast as it can",
                figure(|round| round.swept_alone),
                None,
            ),
            (
                "8 buyers of other products alone",
                figure(|round| round.sold_alone),
                None,
            ),
            (
                "clean-up at a pace of 20,000, beside buyers",
                figure(|round| round.swept_beside),
                None,
            ),
            (
                "those buyers",
                figure(|round| round.sold_beside),
                Some(share),
            ),
        ];
        for (name, rate, ratio) in rows {
            let ratio = ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
            table.add_row([name.to_owned(), format!("{rate:.0}"), ratio]);
        }
        println!("{}", aligned(table));
    }

    fn close(mut self) {
        let database = self.database.take().expect("closed once");
        self.runtime.block_on(async {
            self.pool.close().await;
            let removed = database.remove().await;
            removed.expect("our own database can be dropped");
        });
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(header);
    table
}

fn aligned(mut table: Table) -> Table {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn sku(kind: &str, number: u64) -> Sku {
    Sku::new(format!("{kind}-{number}")).expect("a SKU")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let asked = |flag: &str| std::env::args().any(|argument| argument == flag);
    let mut criterion = Criterion::default().configure_from_args();
    let server = Server::find_or_start(Durability::Durable).expect("a PostgreSQL server");
    let bench = Bench::open(&server);
    // By criterion itself if the filter lets it through; "tables" is the name of nothing.
    bench.measure(&mut criterion);
    criterion.final_summary();
    if !asked("--list") {
        println!("{}", server.version());
        if asked("--test") {
            bench.compare(1, 2_000);
            bench.beside_pgbench(1, 1);
            bench.refunds(1, 256);
            bench.costs(1, 10, 1_000);
        } else {
            bench.compare(5, 100_000);
            bench.beside_pgbench(5, 4);
            bench.refunds(5, 2_000);
            bench.costs(5, 400, 1_000_000);
        }
    }
    bench.close();
}
