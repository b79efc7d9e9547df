//! The statement behind `batched` without the queue: the upper bound of its throughput.

use std::time::Instant;

use optilock::{inventory::BATCH, sqlx};
use uuid::Uuid;

use super::{bench::Bench, method::Method};

/// Orders in one batch.
const SIZE: usize = 256;

/// Executes the statement over one connection. The parameters are built before the measurement.
pub(super) fn orders_per_second(bench: &Bench, batches: usize) -> f64 {
    let sku = bench.skus(Method::Batched)[0].as_str();
    let parameters: Vec<(Vec<Uuid>, Vec<String>)> = (0..batches)
        .map(|_| {
            let ids = (0..SIZE).map(|_| Uuid::now_v7()).collect();
            let keys = (0..SIZE).map(|_| Uuid::now_v7().to_string()).collect();
            (ids, keys)
        })
        .collect();
    bench.runtime.block_on(async {
        let conn = bench.shop.pool.acquire().await;
        let mut conn = conn.expect("the pool has a connection");
        let start = Instant::now();
        for (ids, keys) in &parameters {
            let batch = sqlx::query(BATCH)
                .bind([sku])
                .bind([SIZE as i64])
                .bind([100_i64])
                .bind(["MXN"])
                .bind([None::<i64>])
                .bind(ids)
                .bind([Some("buyer"); SIZE])
                .bind(keys)
                .bind([100_i64; SIZE])
                .bind(["MXN"; SIZE])
                .bind(ids)
                .bind([sku; SIZE])
                .bind([1_i64; SIZE]);
            batch
                .fetch_all(&mut *conn)
                .await
                .expect("the batch succeeds");
        }
        (batches * SIZE) as f64 / start.elapsed().as_secs_f64()
    })
}
