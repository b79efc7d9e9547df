//! A products table of the application, whose stock moves to the crate and back while buyers buy.
//!
//! `cargo run --release --example own_products`. It creates a database on the server at `DATABASE_URL`, or starts a
//! throwaway server.

use std::{
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use optilock::{
    RetryPolicy,
    inventory::{
        BoxError, Checkout, Error, ErrorKind, Inventory, Line, Money, NewProduct, PgInventory,
        Quantity, Sku, Stock,
    },
    postgres::{pool_options, transact},
    sqlx::{self, PgConnection, PgPool},
};
use support::{Durability, Server, signal::interrupted};
use tokio::task::JoinSet;

/// The catalogue of the application, with the stock as its code kept it so far. Afterwards `stock` is null: the crate
/// keeps it, under the same SKU.
const TABLES: &str = "CREATE SCHEMA shop;
    CREATE TABLE shop.products (
        sku   text   PRIMARY KEY,
        title text   NOT NULL,
        price bigint NOT NULL,
        stock bigint CHECK (stock >= 0));
    CREATE TABLE shop.sales (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, sku text NOT NULL);
    INSERT INTO shop.products SELECT 'pot-' || lpad(n::text, 3, '0'), 'Pot ' || n, 45000, 100 FROM generate_series(0, 199) n";

const PRODUCTS: u32 = 200;
const STOCK: i64 = 100;
const BUYERS: u64 = 16;

/// The products that move in one transaction. Buyers of these wait for it.
const PIECE: i64 = 50;

/// Sales by each part of the code.
#[derive(Debug, Default)]
struct Sales {
    before: AtomicU64,
    by_crate: AtomicU64,
}

/// Sells a unit, wherever its stock is kept. Returns whether there was one.
async fn sell(pool: &PgPool, shop: &PgInventory, sku: &Sku, sales: &Sales) -> Result<bool, Error> {
    loop {
        let kept: bool =
            sqlx::query_scalar("SELECT stock IS NOT NULL FROM shop.products WHERE sku = $1")
                .bind(sku.as_str())
                .fetch_one(pool)
                .await?;
        if kept {
            // `None` if it moved in between.
            if let Some(sold) = sell_as_before(pool, sku).await? {
                sales.before.fetch_add(u64::from(sold), Ordering::Relaxed);
                return Ok(sold);
            }
            continue;
        }
        let cart = Checkout::new([Line::new(sku.clone(), Quantity::ONE)])?;
        match shop.checkout(cart).await {
            Ok(_) => {
                sales.by_crate.fetch_add(1, Ordering::Relaxed);
                return Ok(true);
            }
            Err(error) if error.kind() == ErrorKind::InsufficientStock => return Ok(false),
            // It moved back.
            Err(error) if error.kind() == ErrorKind::ProductPaused => {}
            Err(error) => return Err(error),
        }
    }
}

/// The code before: locks the row, decides, writes. Returns `None` if the crate keeps the stock.
async fn sell_as_before(pool: &PgPool, sku: &Sku) -> Result<Option<bool>, Error> {
    let mut tx = pool.begin().await?;
    let stock = "SELECT stock FROM shop.products WHERE sku = $1 FOR UPDATE";
    let stock = sqlx::query_scalar(stock).bind(sku.as_str());
    let Some(stock): Option<i64> = stock.fetch_one(&mut *tx).await? else {
        return Ok(None);
    };
    if stock == 0 {
        return Ok(Some(false));
    }
    for write in [
        "UPDATE shop.products SET stock = stock - 1 WHERE sku = $1",
        "INSERT INTO shop.sales (sku) VALUES ($1)",
    ] {
        sqlx::query(write)
            .bind(sku.as_str())
            .execute(&mut *tx)
            .await?;
    }
    tx.commit().await?;
    Ok(Some(true))
}

/// Moves the stock of some products to the crate. All who sell lock the application's row first, so that no sale is in
/// between.
async fn move_to_crate(tx: &mut PgConnection, shop: &PgInventory) -> Result<usize, Error> {
    let rows: Vec<(String, String, i64, i64)> = sqlx::query_as(
        "SELECT sku, title, price, stock FROM shop.products WHERE stock IS NOT NULL
        ORDER BY sku LIMIT $1 FOR UPDATE",
    )
    .bind(PIECE)
    .fetch_all(&mut *tx)
    .await?;
    let mut products = Vec::with_capacity(rows.len());
    for (sku, title, price, stock) in rows {
        let price = Money::new(price, "MXN".parse()?)?;
        let new = NewProduct::new(Sku::new(sku)?, title, price);
        products.push(new.with_stock(Stock::new(stock)?));
    }
    // Those that have moved back before.
    for sku in shop.add_products_in(tx, &products).await? {
        let stock = products.iter().find(|new| *new.sku() == sku);
        let stock = stock.map_or(Stock::ZERO, NewProduct::stock);
        let at = shop.resume_in(tx, &sku).await?.version;
        shop.count_stock_in(tx, &sku, at, stock, "moved again")
            .await?;
    }
    let skus: Vec<&str> = products.iter().map(|new| new.sku().as_str()).collect();
    let moved = sqlx::query("UPDATE shop.products SET stock = NULL WHERE sku = ANY ($1)");
    moved.bind(skus).execute(tx).await?;
    Ok(products.len())
}

/// Moves the stock of a product back. A buyer who comes late is told that its sale is paused, and looks again.
async fn move_back(tx: &mut PgConnection, shop: &PgInventory, sku: &Sku) -> Result<(), Error> {
    let lock = sqlx::query("SELECT FROM shop.products WHERE sku = $1 FOR UPDATE");
    lock.bind(sku.as_str()).execute(&mut *tx).await?;
    let product = shop.pause_in(tx, sku).await?;
    // Fails if a reservation holds units: release it, or wait until it has expired.
    let (at, none) = (product.version, Stock::ZERO);
    shop.count_stock_in(tx, sku, at, none, "moved to the application's table")
        .await?;
    let back = sqlx::query("UPDATE shop.products SET stock = $2 WHERE sku = $1");
    back.bind(sku.as_str())
        .bind(product.stock.get())
        .execute(tx)
        .await?;
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("own_products: {}", support::chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), BoxError> {
    let server = Server::find_or_start(Durability::Durable)?;
    println!("{}", server.version());
    tokio::runtime::Runtime::new()?.block_on(async {
        tokio::select! {
            result = run_on(&server) => result,
            () = interrupted() => Err("interrupted".into()),
        }
    })
}

/// Runs in a new database, which is dropped at the end and when the future is dropped.
async fn run_on(server: &Server) -> Result<(), BoxError> {
    let database = server.create_database("own_products").await?;
    let pool = pool_options().connect_with(database.options()).await?;
    let result = demonstrate(&pool).await;
    pool.close().await;
    database.remove().await?;
    result
}

async fn demonstrate(pool: &PgPool) -> Result<(), BoxError> {
    optilock::migrate(pool).await?;
    sqlx::raw_sql(TABLES).execute(pool).await?;
    let shop = PgInventory::new(pool.clone());
    let sales = Arc::new(Sales::default());
    println!(
        "\n{PRODUCTS} products of {STOCK} units in the application's table, {BUYERS} buyers\n"
    );
    let mut buyers = JoinSet::new();
    for _ in 0..BUYERS {
        let (pool, shop, sales) = (pool.clone(), shop.clone(), Arc::clone(&sales));
        buyers.spawn(async move {
            loop {
                let sku = Sku::new(format!("pot-{:03}", rand::random_range(0..PRODUCTS)))?;
                sell(&pool, &shop, &sku, &sales).await?;
            }
        });
    }
    let policy = RetryPolicy::new();
    let steps = async {
        until_sold(&sales, 500).await;
        report("before the move", &sales);
        for round in 1..=2 {
            loop {
                let work =
                    async |tx: &mut optilock::postgres::Tx<'_>| move_to_crate(tx, &shop).await;
                if transact(pool, &policy, work).await? == 0 {
                    break;
                }
            }
            until_sold(&sales, 500).await;
            report(&format!("moved to the crate, time {round}"), &sales);
            for n in 0..PRODUCTS {
                let sku = Sku::new(format!("pot-{n:03}"))?;
                transact(pool, &policy, async |tx| move_back(tx, &shop, &sku).await).await?;
            }
            until_sold(&sales, 500).await;
            report(&format!("moved back, time {round}"), &sales);
        }
        Ok::<_, BoxError>(())
    };
    tokio::select! {
        done = steps => done?,
        Some(ended) = buyers.join_next() => {
            let ended: Result<(), Error> = ended?;
            ended?;
        }
    }
    buyers.shutdown().await;
    let left: i64 = sqlx::query_scalar(
        "SELECT (coalesce((SELECT sum(stock) FROM shop.products), 0) + (SELECT count(*) FROM shop.sales)
            + coalesce((SELECT sum(stock) FROM optilock.products), 0)
            + coalesce((SELECT sum(quantity) FROM optilock.order_lines), 0))::bigint",
    )
    .fetch_one(pool)
    .await?;
    println!(
        "\nunits in stock and sold: {left} of {}",
        i64::from(PRODUCTS) * STOCK
    );
    assert_eq!(
        left,
        i64::from(PRODUCTS) * STOCK,
        "no unit is lost or sold twice"
    );
    assert!(shop.audit().await?.is_clean(), "the audit is clean");
    Ok(())
}

/// Waits until some more units are sold.
async fn until_sold(sales: &Sales, more: u64) {
    let sold = || sales.before.load(Ordering::Relaxed) + sales.by_crate.load(Ordering::Relaxed);
    let enough = sold() + more;
    while sold() < enough {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn report(when: &str, sales: &Sales) {
    let (before, by_crate) = (&sales.before, &sales.by_crate);
    let [before, by_crate] = [before, by_crate].map(|it| it.load(Ordering::Relaxed));
    println!("  {when}: {before} sales by the code before, {by_crate} by the crate");
}
