//! Payments of orders.

use std::{sync::Arc, time::Instant};

use optilock::{
    inventory::{BatchOptions, BatchedInventory, Inventory, OrderId, PAYMENTS},
    sqlx,
};
use support::table::{Cell, Table};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    bench::{Bench, OTHERS, cart},
    median,
};

const CALLERS: usize = 256;

/// The way in which orders are paid.
#[derive(Clone, Copy)]
enum Way {
    OneByOne,
    /// By the process that created the orders.
    Batched,
    /// By another process.
    BatchedUnknown,
    /// The statement of a batch over one connection, without the queue.
    Statement,
}

const WAYS: [(Way, &str); 4] = [
    (Way::OneByOne, "one by one"),
    (Way::Batched, "batched, orders of this process"),
    (Way::BatchedUnknown, "batched, orders of another process"),
    (Way::Statement, "the statement of a batch alone"),
];

/// Prints the table of payments one by one and in batches. They take turns.
pub(crate) fn compare(bench: &Bench, rounds: usize, orders: usize) {
    let mut rates = WAYS.map(|_| Vec::new());
    for _ in 0..rounds {
        for ((way, _), rates) in WAYS.into_iter().zip(&mut rates) {
            let orders = match way {
                Way::OneByOne => orders,
                // More, so that all measurements take about as long; few enough for the queue to know them all.
                _ => (orders * 8).min(9_984),
            };
            rates.push(pay(bench, way, orders));
        }
    }
    let single = rates[0].clone();
    let mut table = Table::new(["256 callers pay orders", "orders/s", "ratio", "from", "to"]);
    for ((_, name), rates) in WAYS.into_iter().zip(rates) {
        let pairs = rates.iter().zip(&single);
        let mut ratios: Vec<f64> = pairs.map(|(rate, single)| rate / single).collect();
        ratios.sort_by(f64::total_cmp);
        table.add_row([
            Cell::new(name),
            Cell::number(format!("{:.0}", median(rates))),
            Cell::number(format!("{:.2}", median(ratios.clone()))),
            Cell::number(format!("{:.2}", ratios[0])),
            Cell::number(format!("{:.2}", ratios[ratios.len() - 1])),
        ]);
    }
    println!("{table}");
}

/// Creates orders and pays them. Returns the payments per second.
fn pay(bench: &Bench, way: Way, orders: usize) -> f64 {
    let batched = || {
        let options = BatchOptions::new().with_queue(orders);
        BatchedInventory::new(bench.inventory.clone(), options)
    };
    bench.runtime.block_on(async {
        let creating = batched();
        let ids = create_orders(&creating, orders).await;
        let inventory: Arc<dyn Inventory> = match way {
            Way::Statement => return execute(bench, &ids).await,
            Way::OneByOne => Arc::new(bench.inventory.clone()),
            Way::Batched => Arc::new(creating),
            Way::BatchedUnknown => Arc::new(batched()),
        };
        let start = Instant::now();
        let mut callers = JoinSet::new();
        for ids in ids.chunks(orders.div_ceil(CALLERS)) {
            let (inventory, ids) = (Arc::clone(&inventory), ids.to_vec());
            callers.spawn(async move {
                for id in ids {
                    let paid = inventory.mark_paid(id).await;
                    paid.expect("the order is unpaid");
                }
            });
        }
        callers.join_all().await;
        orders as f64 / start.elapsed().as_secs_f64()
    })
}

/// Executes the statement of a batch. The parameters are built before the measurement.
async fn execute(bench: &Bench, ids: &[OrderId]) -> f64 {
    let batches: Vec<Vec<Uuid>> = ids
        .chunks(CALLERS)
        .map(|ids| ids.iter().map(|id| id.uuid()).collect())
        .collect();
    let conn = bench.pool.acquire().await;
    let mut conn = conn.expect("the pool has a connection");
    let start = Instant::now();
    for ids in &batches {
        let marked = sqlx::query(PAYMENTS)
            .bind(ids)
            .bind(vec![1_i64; ids.len()])
            .bind(vec![2_i16; ids.len()])
            .fetch_one(&mut *conn)
            .await;
        marked.expect("the batch succeeds");
    }
    ids.len() as f64 / start.elapsed().as_secs_f64()
}

async fn create_orders(batched: &BatchedInventory, orders: usize) -> Vec<OrderId> {
    let mut buyers = JoinSet::new();
    for number in 0..orders as u64 {
        let batched = batched.clone();
        buyers.spawn(async move {
            let order = batched.checkout(cart([number % (OTHERS / 100)])).await;
            order.expect("there is stock").id
        });
    }
    buyers.join_all().await
}
