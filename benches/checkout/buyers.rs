//! Concurrent buyers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use optilock::inventory::{Inventory, PgInventory};
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

/// Buys over 32 connections. Returns the orders per second.
pub(crate) fn buy_over_32_connections(
    bench: &Bench,
    inventory: &PgInventory,
    length: Duration,
) -> f64 {
    let orders = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    bench.runtime.block_on(async {
        let mut buyers = JoinSet::new();
        for buyer in 0..32 {
            let (inventory, orders) = (inventory.clone(), Arc::clone(&orders));
            buyers.spawn(async move {
                let mut random: u64 = buyer;
                while start.elapsed() < length {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1);
                    let order = inventory.checkout(cart([random >> 33])).await;
                    order.expect("there is stock");
                    orders.fetch_add(1, Relaxed);
                }
            });
        }
        buyers.join_all().await;
    });
    orders.load(Relaxed) as f64 / start.elapsed().as_secs_f64()
}
