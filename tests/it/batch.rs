//! Checkouts, payments and cancellations that share statements.

mod admission;
mod batches;
mod cancellations;
mod connections;
mod faults;
mod hooks;
mod jobs;
mod lost_connection;
mod mix;
mod payments;
mod regressions;
mod shutdown;
mod storm;

use std::time::{Duration, Instant};

use optilock::{
    inventory::{
        Adjustment, BatchOptions, BatchedInventory, Checkout, Error, Inventory, Order, PgInventory,
    },
    sqlx::{Postgres, Transaction},
};
use tokio::task::JoinHandle;

use crate::support::{
    db::{Db, Default},
    goods::{cart, sku},
};

const OPTIONS: BatchOptions = BatchOptions::new();

const ISOLATION_LEVELS: [Default; 3] = [
    Default::ReadCommitted,
    Default::RepeatableRead,
    Default::Serializable,
];

type Answer = JoinHandle<Result<Order, Error>>;

/// Creates a database, and an inventory that batches contended checkouts.
async fn batched(default: Default) -> (Db, BatchedInventory) {
    batched_with(default, OPTIONS).await
}

/// Creates a database, and an inventory that batches every checkout.
async fn always_batched() -> (Db, BatchedInventory) {
    batched_with(Default::ReadCommitted, OPTIONS.always()).await
}

async fn batched_with(default: Default, options: BatchOptions) -> (Db, BatchedInventory) {
    let db = Db::with(default, 16).await;
    let shop = BatchedInventory::new(PgInventory::new(db.pool.clone()), options);
    (db, shop)
}

/// Returns a checkout of one pot.
fn one_pot() -> Checkout {
    cart(&[("pot", 1)])
}

/// Sells pots in a transaction that stays open, so that later statements on pots wait for it.
async fn sell_and_hold(db: &Db, shop: &PgInventory, pots: i64) -> Transaction<'static, Postgres> {
    let mut tx = db.pool.begin().await.unwrap();
    shop.checkout_in(&mut tx, &cart(&[("pot", pots)]))
        .await
        .unwrap();
    tx
}

async fn deliver(shop: &PgInventory, pots: i64) {
    let delivery = Adjustment::new(sku("pot"), pots, "delivery").unwrap();
    shop.adjust_stock(delivery).await.unwrap();
}

fn spawn_checkout(shop: &BatchedInventory, request: Checkout) -> Answer {
    let shop = shop.clone();
    tokio::spawn(async move { shop.checkout(request).await })
}

fn spawn_checkouts(
    shop: &BatchedInventory,
    requests: impl IntoIterator<Item = Checkout>,
) -> Vec<Answer> {
    requests
        .into_iter()
        .map(|request| spawn_checkout(shop, request))
        .collect()
}

/// Waits until at least `waiting` requests are in the queue.
async fn until_queued(shop: &BatchedInventory, waiting: usize) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while shop.queue_depth() < waiting {
        assert!(Instant::now() < deadline, "{} wait", shop.queue_depth());
        tokio::task::yield_now().await;
    }
}
