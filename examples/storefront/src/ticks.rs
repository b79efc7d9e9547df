//! Once a second: how the shop is doing, for whoever looks at the dashboard, and for Prometheus.

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

use super::{
    Shop,
    pulse::{Latency, Totals},
    race, telemetry,
    users::Admin,
};

/// The report reads all orders of its window, so not every second.
const REPORT_EVERY: u64 = 5;

#[derive(Debug, Serialize)]
struct Tick {
    at: DateTime<Utc>,
    products: Vec<Shelf>,
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
struct Shelf {
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

/// Until the shop is stopped. What can't be read is told by the log and looked at again.
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
            shop.limits.run_once();
            match report(&shop).await {
                Ok(new) => kpis = new,
                Err(error) => warn!(%error, "no report"),
            }
        }
        number += 1;
        match tick(&shop, &kpis, &mut sold).await {
            Ok(tick) => drop(shop.ticks.send_replace(tick)),
            Err(error) => warn!(%error, "no tick"),
        }
    }
}

async fn report(shop: &Shop) -> Result<Vec<Kpi>, Error> {
    let report = shop
        .inventory
        .report(Duration::from_secs(24 * 3_600))
        .await?;
    optilock::metrics::record(&report);
    Ok(report.kpis.to_vec())
}

async fn tick(shop: &Shop, kpis: &[Kpi], sold_before: &mut u64) -> Result<Arc<str>, Error> {
    let (all, idle) = (f64::from(shop.pool.size()), shop.pool.num_idle() as f64);
    gauge!(telemetry::CONNECTIONS, "state" => "idle").set(idle);
    gauge!(telemetry::CONNECTIONS, "state" => "busy").set(all - idle);
    let queue_depth = shop.inventory.queue_depth();
    gauge!(telemetry::QUEUE_DEPTH).set(queue_depth as f64);

    let products = shop.inventory.products(Page::first(50)).await?;
    let for_sale = products
        .into_iter()
        .filter(|product| !race::is_prize(&product.sku));
    let stats = shop.inventory.inventory().stats();
    let (totals, latency_ms) = shop.pulse.tick();
    let tick = Tick {
        at: Utc::now(),
        products: for_sale.take(12).map(Shelf::from).collect(),
        orders_per_second: totals.sold - *sold_before,
        totals,
        conflicts: Conflicts {
            absorbed: stats.conflicts - stats.escaped,
            escaped: stats.escaped,
        },
        attempts_mean: (stats.calls > 0).then(|| stats.attempts as f64 / stats.calls as f64),
        latency_ms,
        kpis: kpis.to_vec(),
        queue_depth,
    };
    *sold_before = totals.sold;
    Ok(serde_json::to_string(&tick).unwrap_or_default().into())
}

impl From<Product> for Shelf {
    fn from(product: Product) -> Self {
        Self {
            sku: product.sku.to_string(),
            name: product.name,
            stock: product.stock.get(),
            reserved: product.reserved.get(),
        }
    }
}

/// The ticks from now on. They end with the shop, which waits for those who are being answered.
pub async fn events(
    State(shop): State<Shop>,
    _: Admin,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let ticks = WatchStream::new(shop.ticks.subscribe());
    let ticks = ticks.filter(|tick| &**tick != "{}");
    let ticks = ticks.map(|tick| Ok(Event::default().event("tick").data(&*tick)));
    Sse::new(until_stopped(&shop, ticks)).keep_alive(KeepAlive::default())
}

/// A stream of events that ends early when the shop does.
pub fn until_stopped<S: Stream>(shop: &Shop, stream: S) -> impl Stream<Item = S::Item> + use<S> {
    let stopped = WatchStream::new(shop.stopped.clone()).map(|stopped| match stopped {
        true => None,
        false => Some(None),
    });
    let stream = stream.map(|item| Some(Some(item)));
    let stream = stream.chain(tokio_stream::once(None));
    stopped
        .merge(stream)
        .take_while(Option::is_some)
        .filter_map(Option::flatten)
}
