//! Shops in schemas of their own: what the name of a schema costs, and several shops on one pool.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use optilock::{
    inventory::{
        BatchOptions, BatchedInventory, Inventory, Money, NewProduct, PgInventory, Sku, Stock,
    },
    migrate_schema,
    sqlx::{self, PgPool},
};
use support::table::{Cell, Table};

use super::{
    bench::Bench,
    comparison::{Candidate, Comparison},
    options::Options,
    seller::cart,
    table::Bars,
};
use crate::pool;

const DEFAULT: &str = "default schema";
const CONTROL: &str = "default schema, once more";
const OTHER: &str = "another schema";
const EIGHT: &str = "8 schemas in turn";

/// The products of all shops of a candidate together, so that each has as many rows.
const PRODUCTS: usize = 1_000;
const BUYERS: u64 = 256;

/// Connections of the pool that serves several shops, and the numbers of shops.
const CONNECTIONS: u32 = 40;
const SHOPS: [usize; 3] = [1, 8, 200];

/// Shops that are served in turn.
struct Shops<I> {
    shops: Vec<I>,
    skus: Vec<Sku>,
    next: AtomicUsize,
}

impl<I: Inventory> Shops<I> {
    /// Buys one unit of a product from the next shop.
    async fn buy(&self) -> u64 {
        let shop = &self.shops[self.next.fetch_add(1, Relaxed) % self.shops.len()];
        let sku = &self.skus[rand::random_range(0..self.skus.len())];
        shop.checkout(cart(sku)).await.expect("there is stock");
        1
    }
}

/// Makes the schemas, each with its share of the products.
async fn open(pool: &PgPool, schemas: &[String], products: usize) -> Shops<PgInventory> {
    let price = Money::new(100, "MXN".parse().expect("a valid currency"));
    let price = price.expect("a valid price");
    let share = products.div_ceil(schemas.len());
    let prefix = schemas[0].clone();
    let sku = |number| Sku::new(format!("{prefix}-{number}")).expect("a valid SKU");
    let skus: Vec<Sku> = (0..share).map(sku).collect();
    let new = |sku: &Sku| NewProduct::new(sku.clone(), "a product", price).with_stock(Stock::MAX);
    let goods: Vec<NewProduct> = skus.iter().map(new).collect();
    let mut shops = Vec::new();
    for schema in schemas {
        let migrated = migrate_schema(pool, schema).await;
        migrated.expect("the migrations succeed");
        let shop = PgInventory::new(pool.clone()).in_schema(schema);
        let shop = shop.expect("the name of a schema");
        shop.add_products(&goods).await.expect("new products");
        shops.push(shop);
    }
    Shops {
        shops,
        skus,
        next: AtomicUsize::new(0),
    }
}

fn named(name: &str, number: usize) -> Vec<String> {
    (0..number)
        .map(|number| format!("{name}_{number:03}"))
        .collect()
}

/// The candidates, each with its schemas.
fn candidates() -> [(&'static str, Vec<String>); 4] {
    [
        (DEFAULT, vec!["optilock".to_owned()]),
        (CONTROL, vec!["optilock".to_owned()]),
        (OTHER, named("other", 1)),
        (EIGHT, named("eight", 8)),
    ]
}

fn compared(options: &Options, title: &str, candidates: Vec<Candidate<'_>>) -> Bars {
    let comparison = Comparison::measure(options, title, candidates);
    let mut bars = Bars::new(title);
    bars.ratio(&comparison, CONTROL, DEFAULT, None);
    bars.ratio(&comparison, OTHER, DEFAULT, Some(0.98));
    bars.ratio(&comparison, EIGHT, DEFAULT, Some(0.9));
    bars
}

fn candidate<'a, I: Inventory + 'static>(
    bench: &'a Bench,
    name: &'static str,
    callers: u64,
    shops: Shops<I>,
) -> Candidate<'a> {
    let shops = Arc::new(shops);
    Candidate::new(name, move |window| {
        let shops = Arc::clone(&shops);
        bench.turn(callers, window, move || {
            let shops = Arc::clone(&shops);
            async move { shops.buy().await }
        })
    })
}

pub(super) fn measure(bench: &Bench, options: &Options) -> Vec<Bars> {
    let guarded = candidates().into_iter().map(|(name, schemas)| {
        let shops = open(&bench.pool, &schemas, PRODUCTS);
        candidate(bench, name, 32, bench.runtime.block_on(shops))
    });
    let title = "32 connections, 1,000 products: checkouts one by one";
    let guarded = compared(options, title, guarded.collect());

    let mut opened = Vec::new();
    let batched = candidates()
        .into_iter()
        .enumerate()
        .map(|(number, (name, schemas))| {
            // Products of their own: each shop sells one.
            let shops = open_hot(bench, &schemas, number);
            opened.extend(shops.shops.iter().cloned());
            candidate(bench, name, BUYERS, shops)
        });
    let batched: Vec<_> = batched.collect();
    let title = "256 buyers of one product of each shop: checkouts, batched";
    let batched = compared(options, title, batched);
    bench.runtime.block_on(async {
        for shop in opened {
            let shutdown = shop.shutdown(Duration::from_secs(30)).await;
            shutdown.expect("every request has its answer");
        }
    });
    many_shops(bench, options);
    vec![guarded, batched]
}

/// Opens shops with one product each, behind a queue each.
fn open_hot(bench: &Bench, schemas: &[String], number: usize) -> Shops<BatchedInventory> {
    let sku = Sku::new(format!("hot-{number}")).expect("a valid SKU");
    let price = Money::new(100, "MXN".parse().expect("a valid currency"));
    let new = NewProduct::new(sku.clone(), "the product", price.expect("a valid price"));
    let new = new.with_stock(Stock::MAX);
    let shop = |schema: &String| {
        let shop = PgInventory::new(bench.pool.clone()).in_schema(schema);
        let shop = BatchedInventory::new(shop.expect("a name"), BatchOptions::new());
        let added = bench.runtime.block_on(shop.add_product(new.clone()));
        added.expect("a new product");
        shop
    };
    Shops {
        shops: schemas.iter().map(shop).collect(),
        skus: vec![sku],
        next: AtomicUsize::new(0),
    }
}

/// Prints what several shops on one pool cost: sales, prepared statements, and memory of the server.
fn many_shops(bench: &Bench, options: &Options) {
    let mut table = Table::new([
        "shops in turn on one pool of 40",
        "statements that a connection keeps",
        "sales\nper s",
        "prepared\nper sale",
        "memory of a connection\nMB",
    ]);
    // Making 200 schemas takes a minute, which a test of the benchmark does without.
    let most = if options.window < Duration::from_millis(100) {
        8
    } else {
        200
    };
    for number in SHOPS.into_iter().filter(|number| *number <= most) {
        for capacity in [100, 12 * number.max(9)] {
            if number == 1 && capacity != 100 {
                continue;
            }
            let connect = bench.database.options().statement_cache_capacity(capacity);
            bench.runtime.block_on(async {
                let pool = pool::open(connect, CONNECTIONS).await;
                let shops = open(&pool, &named("many", number), PRODUCTS).await;
                let shops = Arc::new(shops);
                // Statements are prepared in the first turn.
                let mut turn = None;
                for _ in 0..2 {
                    let shops = Arc::clone(&shops);
                    let buy = move || {
                        let shops = Arc::clone(&shops);
                        async move { shops.buy().await }
                    };
                    let callers = u64::from(CONNECTIONS);
                    turn = Some(super::turn::take(callers, options.window, buy).await);
                }
                let turn = turn.expect("two turns");
                let (prepared, bytes) = of_connections(&pool, turn.elapsed).await;
                table.add_row([
                    Cell::number(number),
                    Cell::number(capacity),
                    Cell::number(format!("{:.0}", turn.rate())),
                    Cell::number(format!("{:.2}", prepared / turn.done as f64)),
                    Cell::number(format!("{:.1}", bytes / 1e6)),
                ]);
                pool.close().await;
            });
        }
    }
    println!("{table}");
}

/// Returns how many statements all connections have prepared within a time, of those that they still keep, and the mean
/// of the memory of one.
async fn of_connections(pool: &PgPool, within: Duration) -> (f64, f64) {
    let (mut prepared, mut bytes) = (0.0, 0.0);
    let mut connections = Vec::new();
    for _ in 0..CONNECTIONS {
        connections.push(pool.acquire().await.expect("a connection"));
    }
    for conn in &mut connections {
        let row: (i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM pg_prepared_statements
                 WHERE prepare_time > clock_timestamp() - $1::float8 * interval '1 second'),
                 (SELECT sum(total_bytes)::bigint FROM pg_backend_memory_contexts)",
        )
        .bind(within.as_secs_f64())
        .fetch_one(&mut **conn)
        .await
        .expect("the session's views can be read");
        prepared += row.0 as f64;
        bytes += row.1 as f64;
    }
    (prepared, bytes / f64::from(CONNECTIONS))
}
