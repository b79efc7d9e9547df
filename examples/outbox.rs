//! Low stock, told with the sale that made it low: an outbox table of the host's own, written by a hook
//! in the sale's transaction, and a relay that sends what is in it.
//!
//! `cargo run --release --example outbox`. It uses the server at `DATABASE_URL`, in a database of its
//! own, or starts a throwaway one.

use std::{process::ExitCode, sync::Arc, time::Duration};

use async_trait::async_trait;
use optilock::{
    RetryPolicy,
    inventory::{
        Accepted, BoxError, Checkout, Error, Inventory, Line, Money, NewProduct, OnAccepted,
        PgInventory, Quantity, Sku, Stock,
    },
    postgres::{pool_options, transact},
    sqlx::{self, PgConnection, PgPool},
};
use support::{Durability, Server, signal::interrupted};
use tokio::{sync::oneshot, task::JoinSet};

const OUTBOX: &str = "CREATE SCHEMA shop;
    CREATE TABLE shop.outbox (
        id       bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
        order_id uuid   NOT NULL,
        sku      text   NOT NULL,
        stock    bigint NOT NULL);
    CREATE TABLE shop.deliveries (order_id uuid PRIMARY KEY, address text NOT NULL)";

const PRODUCTS: [&str; 3] = ["clay-pot", "jug", "mug"];
const STOCK: i64 = 40;
const BUYERS: i64 = 150;

/// Writes a row for every product that a sale takes below the threshold.
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

/// An event as it is sent.
#[derive(Debug, sqlx::FromRow)]
struct Event {
    id: i64,
    sku: String,
    stock: i64,
}

/// Sends what is in the outbox, oldest first. What is sent and not committed is sent again: at least
/// once, so the receiver looks at the id. Several relays skip each other's events.
async fn relay(pool: &PgPool, send: impl Fn(&Event)) -> Result<usize, sqlx::Error> {
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
            eprintln!("outbox: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), BoxError> {
    let server = Server::find_or_start(Durability::Durable)?;
    println!("{}", server.version());
    tokio::runtime::Runtime::new()?.block_on(async {
        tokio::select! {
            shown = show(&server) => shown,
            () = interrupted() => Err("interrupted".into()),
        }
    })
}

/// In a database of its own, which goes when this ends or is dropped.
async fn show(server: &Server) -> Result<(), BoxError> {
    let database = server.create_database("outbox").await?;
    let pool = pool_options().connect_with(database.options()).await?;
    let shown = play(&pool).await;
    pool.close().await;
    database.remove().await?;
    shown
}

async fn play(pool: &PgPool) -> Result<(), BoxError> {
    optilock::migrate(pool).await?;
    sqlx::raw_sql(OUTBOX).execute(pool).await?;
    let shop = PgInventory::new(pool.clone()).with_hook(Arc::new(LowStock { threshold: 10 }));
    let price = Money::new(45_000, "MXN".parse()?)?;
    for name in PRODUCTS {
        let product = NewProduct::new(Sku::new(name)?, name, price).with_stock(Stock::new(STOCK)?);
        shop.add_product(product).await?;
    }

    println!(
        "\n{BUYERS} buyers, {} products of {STOCK} units\n",
        PRODUCTS.len()
    );
    let (stop, mut stopped) = oneshot::channel::<()>();
    let relaying = tokio::spawn({
        let pool = pool.clone();
        async move {
            let mut sent = 0;
            loop {
                let events = relay(&pool, |Event { id, sku, stock }| {
                    println!("  sent event {id}: {sku} is low, {stock} left");
                });
                match events.await? {
                    // Emptied, and nobody writes any more.
                    0 if stopped.try_recv() != Err(oneshot::error::TryRecvError::Empty) => break,
                    0 => tokio::time::sleep(Duration::from_millis(10)).await,
                    events => sent += events,
                }
            }
            Ok::<_, sqlx::Error>(sent)
        }
    });
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
    for bought in buyers.join_all().await {
        sold += i64::from(bought?);
    }

    // A sale that is rolled back with the host's own rows leaves no event.
    let delivery = NewProduct::new(Sku::new("vase")?, "vase", price).with_stock(Stock::new(12)?);
    let vase = shop.add_product(delivery).await?.sku;
    let policy = RetryPolicy::new();
    let undone = transact(pool, &policy, async |tx| {
        let line = Line::new(vase.clone(), Quantity::new(5)?);
        let order = shop.checkout_in(tx, &Checkout::new([line])?).await?;
        let deliver = sqlx::query("INSERT INTO shop.deliveries (order_id) VALUES ($1)");
        let delivered = deliver.bind(order.id.uuid()).execute(&mut **tx).await;
        delivered.map(drop).map_err(Error::Database)
    });
    let undone = undone.await.expect_err("a delivery needs an address");
    println!(
        "\n  5 vases are sold and not delivered, so neither: {}",
        undone.error
    );

    drop(stop);
    let sent = relaying.await??;
    println!("\n{sold} of {BUYERS} bought. {sent} events: one per product, and none of the vase.");
    // What this program is about.
    assert_eq!(sent, PRODUCTS.len(), "one event per product that ran low");
    assert!(shop.audit().await?.is_clean(), "the books balance");
    Ok(())
}
