//! Cancellations of orders of one product.

use std::{sync::Arc, time::Instant};

use optilock::inventory::{BatchOptions, BatchedInventory, Inventory, OrderId};
use support::table::{Cell, Table};
use tokio::task::JoinSet;

use crate::{
    bench::{Bench, cart},
    median,
};

const CALLERS: usize = 256;

/// Prints the table of cancellations by single statements and in batches. Both take turns.
pub(crate) fn compare(bench: &Bench, rounds: usize, orders: usize) {
    let single: Arc<dyn Inventory> = Arc::new(bench.inventory.clone());
    let batched = BatchedInventory::new(bench.inventory.clone(), BatchOptions::new());
    let batched: Arc<dyn Inventory> = Arc::new(batched);
    let (mut single_rates, mut batched_rates) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        single_rates.push(cancel(bench, &single, orders));
        // More orders, so that both measurements take about as long.
        batched_rates.push(cancel(bench, &batched, orders * 9));
    }
    let (single_rate, batched_rate) = (median(single_rates), median(batched_rates));
    let mut table = Table::new([
        "256 callers cancel orders of one product",
        "orders/s",
        "ratio",
    ]);
    for (name, rate) in [
        ("one statement per order", single_rate),
        ("batched", batched_rate),
    ] {
        table.add_row([
            Cell::new(name),
            Cell::number(format!("{rate:.0}")),
            Cell::number(format!("{:.2}", rate / single_rate)),
        ]);
    }
    println!("{table}");
}

/// Creates orders and cancels them. Returns the cancellations per second.
fn cancel(bench: &Bench, inventory: &Arc<dyn Inventory>, orders: usize) -> f64 {
    bench.runtime.block_on(async {
        let ids = create_orders(bench, orders).await;
        let start = Instant::now();
        let mut callers = JoinSet::new();
        for ids in ids.chunks(orders.div_ceil(CALLERS)) {
            let (inventory, ids) = (Arc::clone(inventory), ids.to_vec());
            callers.spawn(async move {
                for id in ids {
                    let cancelled = inventory.cancel(id, "refunded").await;
                    cancelled.expect("the order is unpaid");
                }
            });
        }
        callers.join_all().await;
        orders as f64 / start.elapsed().as_secs_f64()
    })
}

async fn create_orders(bench: &Bench, orders: usize) -> Vec<OrderId> {
    let options = BatchOptions::new().with_queue(orders);
    let batched = BatchedInventory::new(bench.inventory.clone(), options);
    let mut buyers = JoinSet::new();
    for _ in 0..orders {
        let batched = batched.clone();
        buyers.spawn(async move {
            let order = batched.checkout(cart([0])).await;
            order.expect("there is stock").id
        });
    }
    buyers.join_all().await
}
