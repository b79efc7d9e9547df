//! Concurrent buyers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

use optilock::inventory::Inventory;
use tokio::task::JoinSet;

use crate::bench::{Bench, OTHERS, cart};

/// Buyers beside the clean-up.
const BUYERS: u64 = 8;

/// Buys while `work` runs. Returns the orders per second and the result of `work`.
pub(crate) async fn buy_during(bench: &Bench, work: impl Future<Output = f64>) -> (f64, f64) {
    let orders = Arc::new(AtomicU64::new(0));
    let done = Arc::new(AtomicBool::new(false));
    let mut buyers = JoinSet::new();
    for buyer in 0..BUYERS {
        let inventory = bench.inventory.clone();
        let (orders, done) = (Arc::clone(&orders), Arc::clone(&done));
        buyers.spawn(async move {
            let mut number = buyer;
            while !done.load(Relaxed) {
                number = (number * 7 + 13) % OTHERS;
                let order = inventory.checkout(cart([number])).await;
                order.expect("there is stock");
                orders.fetch_add(1, Relaxed);
            }
        });
    }
    let (start, before) = (Instant::now(), orders.load(Relaxed));
    let result = work.await;
    let rate = (orders.load(Relaxed) - before) as f64 / start.elapsed().as_secs_f64();
    done.store(true, Relaxed);
    buyers.join_all().await;
    (rate, result)
}
