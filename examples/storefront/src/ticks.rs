//! The state of the shop once a second, for the dashboard and for Prometheus.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    extract::State,
    response::sse::{Event, KeepAlive, Sse},
};
use chrono::{DateTime, Utc};
use metrics::gauge;
use optilock::inventory::{Error, Inventory, Kpi, Page, Product};
use serde::Serialize;
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};
use tokio_stream::{Stream, StreamExt, wrappers::WatchStream};
use tracing::warn;

use crate::{
    auth::Admin,
    pulse::{Latency, Totals},
    shop::Shop,
    stream::until_stopped,
    telemetry,
};

/// Seconds between reports. A report reads all orders of its window, which is too much for every second.
const REPORT_EVERY: u64 = 5;

#[derive(Debug, Serialize)]
struct Tick {
    at: DateTime<Utc>,
    products: Vec<ProductStock>,
    orders_per_second: u64,
    #[serde(flatten)]
    totals: Totals,
    conflicts: Conflicts,
    attempts_mean: Option<f64>,
    latency_ms: Latency,
    kpis: Vec<Kpi>,
    queue_depth: usize,
}

#[derive(Debug, Serialize)]
struct ProductStock {
    sku: String,
    name: String,
    stock: i64,
    reserved: i64,
}

#[derive(Debug, Serialize)]
struct Conflicts {
    absorbed: u64,
    escaped: u64,
}

/// Publishes ticks until the shop is stopped. A failed read is logged and repeated at the next tick.
pub async fn run(shop: Shop, mut stopped: watch::Receiver<bool>) {
    let mut every_second = interval(Duration::from_secs(1));
    every_second.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let (mut number, mut sold, mut kpis) = (0, 0, Vec::new());
    loop {
        tokio::select! {
            _ = every_second.tick() => {}
            _ = stopped.wait_for(|stopped| *stopped) => return,
        }
        if number % REPORT_EVERY == 0 {
            shop.limits.clean_up();
            match report(&shop).await {
                Ok(new) => kpis = new,
                Err(error) => warn!(%error, "the report failed"),
            }
        }
        number += 1;
        match tick(&shop, &kpis, &mut sold).await {
            Ok(tick) => drop(shop.ticks.send_replace(tick)),
            Err(error) => warn!(%error, "the tick failed"),
        }
    }
}

async fn report(shop: &Shop) -> Result<Vec<Kpi>, Error> {
    let window = Duration::from_secs(24 * 3_600);
    let report = shop.inventory.report(window).await?;
    optilock::metrics::record(&report);
    // The figures stay when a report fails; the alert NoReport looks at their age.
    gauge!(telemetry::REPORTED_AT).set(Utc::now().timestamp() as f64);
    Ok(report.kpis.to_vec())
}

async fn tick(shop: &Shop, kpis: &[Kpi], sold_before: &mut u64) -> Result<Arc<str>, Error> {
    record_gauges(shop);
    let products = shop.inventory.products(Page::first(50)).await?;
    let stats = shop.inventory.inventory().stats();
    let (totals, latency_ms) = shop.pulse.tick();
    let tick = Tick {
        at: Utc::now(),
        products: products
            .into_iter()
            .take(12)
            .map(ProductStock::from)
            .collect(),
        orders_per_second: totals.sold - *sold_before,
        totals,
        conflicts: Conflicts {
            absorbed: stats.conflicts - stats.escaped,
            escaped: stats.escaped,
        },
        attempts_mean: (stats.calls > 0).then(|| stats.attempts as f64 / stats.calls as f64),
        latency_ms,
        kpis: kpis.to_vec(),
        queue_depth: shop.inventory.queue_depth(),
    };
    *sold_before = totals.sold;
    Ok(serde_json::to_string(&tick).unwrap_or_default().into())
}

fn record_gauges(shop: &Shop) {
    let (all, idle) = (f64::from(shop.pool.size()), shop.pool.num_idle() as f64);
    gauge!(telemetry::CONNECTIONS, "state" => "idle").set(idle);
    gauge!(telemetry::CONNECTIONS, "state" => "busy").set(all - idle);
    gauge!(telemetry::QUEUE_DEPTH).set(shop.inventory.queue_depth() as f64);
}

impl From<Product> for ProductStock {
    fn from(product: Product) -> Self {
        Self {
            sku: product.sku.to_string(),
            name: product.name,
            stock: product.stock.get(),
            reserved: product.reserved.get(),
        }
    }
}

/// Streams the ticks. The stream ends with the shop, whose shutdown waits for running responses.
pub(crate) async fn events(
    State(shop): State<Shop>,
    _: Admin,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let ticks = WatchStream::new(shop.ticks.subscribe());
    let ticks = ticks.filter(|tick| &**tick != "{}");
    let ticks = ticks.map(|tick| Ok(Event::default().event("tick").data(&*tick)));
    Sse::new(until_stopped(shop.stopped.clone(), ticks)).keep_alive(KeepAlive::default())
}
