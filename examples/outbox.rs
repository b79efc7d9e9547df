//! Events in the transaction of the sale, and a relay that sends them. Accepted orders are in the outbox of the
//! crate, which costs a sale one insert. Low-stock events are in an outbox table of the application, into which a
//! hook writes them.
//!
//! `cargo run --release --example outbox`. It creates a database on the server at `DATABASE_URL`, or starts
//! a throwaway server.

use std::{process::ExitCode, sync::Arc, time::Duration};

use async_trait::async_trait;
use optilock::{
    RetryPolicy,
    inventory::{
        Accepted, BoxError, Checkout, Error, Inventory, Line, Money, NewProduct, OnAccepted,
        OutboxPosition, PgInventory, Quantity, Sku, Stock,
    },
    postgres::{pool_options, transact},
    sqlx::{self, PgConnection, PgPool},
};
use support::{Durability, Server, signal::interrupted};
use tokio::{sync::oneshot, task::JoinSet};

const TABLES: &str = "CREATE SCHEMA shop;
    CREATE TABLE shop.outbox (
        id       bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
        order_id uuid   NOT NULL,
        sku      text   NOT NULL,
        stock    bigint NOT NULL);
    CREATE TABLE shop.deliveries (order_id uuid PRIMARY KEY, address text NOT NULL)";

const PRODUCTS: [&str; 3] = ["clay-pot", "jug", "mug"];
const STOCK: i64 = 40;
const BUYERS: i64 = 150;

/// Writes an event for each product that a sale takes below the threshold.
#[derive(Debug)]
struct LowStock {
    threshold: i64,
}

#[async_trait]
impl OnAccepted for LowStock {
    async fn on_accepted(
        &self,
        conn: &mut PgConnection,
        accepted: &Accepted,
    ) -> Result<(), BoxError> {
        let low = accepted.changes.iter();
        for change in low.filter(|change| change.went_below(self.threshold)) {
            sqlx::query("INSERT INTO shop.outbox (order_id, sku, stock) VALUES ($1, $2, $3)")
                .bind(accepted.order.id.uuid())
                .bind(change.sku.as_str())
                .bind(change.stock)
                .execute(&mut *conn)
                .await?;
        }
        Ok(())
    }
}

/// A row of the application's outbox.
#[derive(Debug, sqlx::FromRow)]
struct Event {
    id: i64,
    sku: String,
    stock: i64,
}

/// Sends the oldest accepted orders and deletes them from the outbox. Returns their number.
///
/// Orders are delivered at least once: if the relay stops after sending, they are sent again, so the receiver
/// must ignore ids that it has processed.
async fn relay_orders(shop: &PgInventory) -> Result<usize, Error> {
    let page = shop.outbox_since(&OutboxPosition::START, 100).await?;
    let Some(last) = page.entries.last() else {
        return Ok(0);
    };
    let (count, order) = (page.entries.len(), &last.order);
    println!("  sent {count} orders, the last one of {}", order.total);
    shop.acknowledge_outbox(&page.next).await?;
    Ok(count)
}

/// Sends the oldest events and deletes them from the application's outbox. Returns their number. The events are
/// delivered at least once, too. Concurrent relays skip each other's events.
async fn relay_events(pool: &PgPool, send: impl Fn(&Event)) -> Result<usize, sqlx::Error> {
    let mut transaction = pool.begin().await?;
    let take = "DELETE FROM shop.outbox WHERE id = ANY (ARRAY(
            SELECT id FROM shop.outbox ORDER BY id LIMIT 10 FOR UPDATE SKIP LOCKED))
        RETURNING id, sku, stock";
    let mut events: Vec<Event> = sqlx::query_as(take).fetch_all(&mut *transaction).await?;
    events.sort_by_key(|event| event.id);
    events.iter().for_each(send);
    transaction.commit().await?;
    Ok(events.len())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("outbox: {}", support::chain(&*error));
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
    let database = server.create_database("outbox").await?;
    let pool = pool_options().connect_with(database.options()).await?;
    let result = demonstrate(&pool).await;
    pool.close().await;
    database.remove().await?;
    result
}

async fn demonstrate(pool: &PgPool) -> Result<(), BoxError> {
    optilock::migrate(pool).await?;
    sqlx::raw_sql(TABLES).execute(pool).await?;
    let shop = PgInventory::new(pool.clone())
        .with_outbox()
        .with_hook(Arc::new(LowStock { threshold: 10 }));
    for name in PRODUCTS {
        shop.add_product(product(name, STOCK)?).await?;
    }
    println!(
        "\n{BUYERS} buyers, {} products of {STOCK} units\n",
        PRODUCTS.len()
    );
    let (stop, stopped) = oneshot::channel();
    let relay = tokio::spawn(relay_all(pool.clone(), shop.clone(), stopped));
    let sold = sell(&shop).await?;
    let error = sell_without_address(pool, &shop).await?;
    println!("\n  a sale of 5 vases is rolled back with its delivery: {error}");
    // A relay that has stopped returns its own error.
    let _ = stop.send(sold);
    let (orders, events) = relay.await??;
    println!(
        "\n{sold} of {BUYERS} checkouts accepted, {orders} orders and {events} events sent: one event per product, \
         none for the vase."
    );
    assert_eq!(orders, sold, "each accepted order is sent once");
    assert_eq!(
        events,
        PRODUCTS.len(),
        "one event per product with low stock"
    );
    assert!(shop.audit().await?.is_clean(), "the audit is clean");
    Ok(())
}

fn product(name: &str, stock: i64) -> Result<NewProduct, BoxError> {
    let price = Money::new(45_000, "MXN".parse()?)?;
    Ok(NewProduct::new(Sku::new(name)?, name, price).with_stock(Stock::new(stock)?))
}

/// Relays orders and events until the number of orders is known and all of them are sent. Returns the numbers of
/// orders and events.
async fn relay_all(
    pool: PgPool,
    shop: PgInventory,
    mut sold: oneshot::Receiver<usize>,
) -> Result<(usize, usize), Error> {
    let (mut orders, mut events, mut expected) = (0, 0, None);
    loop {
        orders += relay_orders(&shop).await?;
        let sent = relay_events(&pool, |Event { id, sku, stock }| {
            println!("  sent event {id}: stock of {sku} is low, {stock} left");
        });
        let sent = sent.await?;
        events += sent;
        expected = expected.or_else(|| sold.try_recv().ok());
        if sent == 0 && expected == Some(orders) {
            return Ok((orders, events));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Sends all checkouts concurrently. Returns the number of accepted ones.
async fn sell(shop: &PgInventory) -> Result<usize, BoxError> {
    let mut buyers = JoinSet::new();
    for buyer in 0..BUYERS {
        let shop = shop.clone();
        buyers.spawn(async move {
            let sku = Sku::new(PRODUCTS[(buyer % 3) as usize])?;
            let line = Line::new(sku, Quantity::new(1 + buyer % 2)?);
            match shop.checkout(Checkout::new([line])?).await {
                Ok(_) => Ok(true),
                Err(error) if error.is_insufficient_stock() => Ok(false),
                Err(error) => Err(error),
            }
        });
    }
    let mut sold = 0;
    for accepted in buyers.join_all().await {
        sold += usize::from(accepted?);
    }
    Ok(sold)
}

/// Sells in a transaction whose second statement fails, so that sale and event are rolled back. Returns
/// the error.
async fn sell_without_address(pool: &PgPool, shop: &PgInventory) -> Result<Error, BoxError> {
    let vase = shop.add_product(product("vase", 12)?).await?.sku;
    let policy = RetryPolicy::new();
    let result = transact(pool, &policy, async |tx| {
        let line = Line::new(vase.clone(), Quantity::new(5)?);
        let order = shop.checkout_in(tx, &Checkout::new([line])?).await?;
        let delivery = sqlx::query("INSERT INTO shop.deliveries (order_id) VALUES ($1)");
        let inserted = delivery.bind(order.id.uuid()).execute(&mut **tx).await;
        inserted.map(drop).map_err(Error::from)
    });
    let failed = result.await.expect_err("a delivery requires an address");
    Ok(failed.error)
}
