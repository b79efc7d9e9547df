//! Checkouts and cancellations that share statements.

mod admission;
mod batches;
mod cancellations;
mod lost_connection;
mod shutdown;
mod storm;

use std::time::{Duration, Instant};

use optilock::inventory::{
    BatchOptions, BatchedInventory, Checkout, Error, Inventory, Order, PgInventory,
};
use tokio::task::JoinHandle;

use crate::support::db::{Db, Default};

const OPTIONS: BatchOptions = BatchOptions::new();

async fn shop(default: Default) -> (Db, BatchedInventory) {
    let db = Db::with(default, 16).await;
    let shop = BatchedInventory::new(PgInventory::new(db.pool.clone()), OPTIONS);
    (db, shop)
}

fn spawn(shop: &BatchedInventory, request: Checkout) -> JoinHandle<Result<Order, Error>> {
    let shop = shop.clone();
    tokio::spawn(async move { shop.checkout(request).await })
}

fn buyers(
    shop: &BatchedInventory,
    requests: impl IntoIterator<Item = Checkout>,
) -> Vec<JoinHandle<Result<Order, Error>>> {
    requests
        .into_iter()
        .map(|request| spawn(shop, request))
        .collect()
}

/// Until so many wait in the queue.
async fn until_queued(shop: &BatchedInventory, waiting: usize) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while shop.queue_depth() < waiting {
        assert!(Instant::now() < deadline, "{} wait", shop.queue_depth());
        tokio::task::yield_now().await;
    }
}
