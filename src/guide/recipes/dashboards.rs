use std::time::Duration;

use metrics::counter;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};
use optilock::{
    inventory::{Error, Inventory},
    metrics::{
        ATTEMPTS, BATCH_SECONDS, BATCH_SIZE, CLEANUP_FAILURES, CONFLICTS, QUEUE_SECONDS,
        TRANSACTION_SECONDS, UNKNOWN_OUTCOMES, describe, record,
    },
};

const COUNTS: &[f64] = &[1.0, 2.0, 3.0, 5.0, 10.0, 30.0, 100.0, 300.0];
const SECONDS: &[f64] = &[
    0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Returns the exporter. Then call `install_recorder` once, and let `/metrics` answer `handle.render()`.
pub fn exporter() -> Result<PrometheusBuilder, BuildError> {
    let buckets = [
        (ATTEMPTS, COUNTS),
        (BATCH_SIZE, COUNTS),
        (TRANSACTION_SECONDS, SECONDS),
        (QUEUE_SECONDS, SECONDS),
        (BATCH_SECONDS, SECONDS),
    ];
    let mut builder = PrometheusBuilder::new();
    for (name, buckets) in buckets {
        builder = builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), buckets)?;
    }
    Ok(builder)
}

/// Describes the metrics and starts the counters at 0, once, after the recorder was installed.
pub fn start(entities: &[&'static str]) {
    describe();
    for &entity in entities {
        for outcome in ["absorbed", "escaped"] {
            counter!(CONFLICTS, "entity" => entity, "outcome" => outcome).increment(0);
        }
        counter!(UNKNOWN_OUTCOMES, "entity" => entity).increment(0);
    }
    for what in ["orders", "reservations", "keys"] {
        counter!(CLEANUP_FAILURES, "what" => what).increment(0);
    }
}

/// Sets the gauges of a shop's report. Call it every minute, in one process.
pub async fn report(shop: &dyn Inventory) -> Result<(), Error> {
    const WEEK: Duration = Duration::from_secs(7 * 24 * 3_600);
    record(&shop.report(WEEK).await?);
    Ok(())
}
