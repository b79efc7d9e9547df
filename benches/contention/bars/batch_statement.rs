//! The statement behind `batched` without the queue: the upper bound of its throughput.

use std::time::{Duration, Instant};

use optilock::{
    inventory::{BATCH, Sku},
    sqlx,
};
use uuid::Uuid;

use super::{bench::Bench, turn::Turn};

/// Orders in one batch.
const SIZE: usize = 256;

/// Batches per second for which parameters are prepared, more than any machine executes.
const BATCHES: f64 = 600.0;

/// Executes the statement over one connection. The parameters are built before the measurement.
pub(super) fn turn(bench: &Bench, sku: &Sku, window: Duration) -> Turn {
    let sku = sku.as_str();
    let batches = (BATCHES * window.as_secs_f64()).max(1.0) as usize;
    let parameters: Vec<(Vec<Uuid>, Vec<String>)> = (0..batches)
        .map(|_| {
            let ids = (0..SIZE).map(|_| Uuid::now_v7()).collect();
            let keys = (0..SIZE).map(|_| Uuid::now_v7().to_string()).collect();
            (ids, keys)
        })
        .collect();
    let numbers: Vec<i64> = (1..=SIZE as i64).collect();
    let stock: Vec<i64> = numbers.iter().map(|number| -number).collect();
    bench.runtime.block_on(async {
        let conn = bench.pool.acquire().await;
        let mut conn = conn.expect("the pool has a connection");
        let start = Instant::now();
        let mut latencies = Vec::new();
        for (ids, keys) in &parameters {
            let batch = sqlx::query(BATCH)
                .bind([sku])
                .bind([SIZE as i64])
                .bind([100_i64])
                .bind(["MXN"])
                .bind([None::<i64>])
                .bind([SIZE as i64])
                .bind([-(SIZE as i64)])
                .bind(ids)
                .bind([Some("buyer"); SIZE])
                .bind(keys)
                .bind([100_i64; SIZE])
                .bind(["MXN"; SIZE])
                .bind(ids)
                .bind([sku; SIZE])
                .bind([-1_i64; SIZE])
                .bind(&numbers)
                .bind(&stock);
            let sent = Instant::now();
            let written = batch.fetch_all(&mut *conn).await;
            written.expect("the batch succeeds");
            latencies.push(sent.elapsed());
            if start.elapsed() >= window {
                break;
            }
        }
        let orders = (latencies.len() * SIZE) as u64;
        Turn::new(orders, start.elapsed(), latencies)
    })
}
