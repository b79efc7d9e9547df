//! The flood: buyers make checkouts, or whole sales, as fast as they can. Shows the throughput of each method.

use std::{sync::Arc, time::Duration};

use indicatif::ProgressBar;
use optilock::inventory::{Sku, Stock};

use crate::{
    buyers::{self, Tally},
    error::BoxError,
    method::Method,
    report::Flooded,
    seller::{Deal, Seller},
    shop::Shop,
};

/// The approximate length of a turn. Methods take turns, so that other load on the machine slows all of
/// them down equally.
const TURN: Duration = Duration::from_millis(500);

/// The length of the warm-up, which sells other products.
const WARMUP: Duration = Duration::from_millis(300);

/// The parameters, equal for all methods.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flood {
    pub(crate) deal: Deal,
    pub(crate) buyers: u32,
    pub(crate) skus: u32,
    pub(crate) stock: Stock,
    pub(crate) length: Duration,
}

/// One method with products of its own.
struct Run {
    method: Method,
    seller: Seller,
    skus: Arc<[Sku]>,
    tally: Tally,
}

impl Flood {
    pub(crate) async fn run(
        self,
        shop: &Shop,
        methods: &[Method],
        bar: &ProgressBar,
    ) -> Result<Vec<Flooded>, BoxError> {
        let rounds = u32::try_from(self.length.as_millis().div_ceil(TURN.as_millis()))?;
        bar.set_length(methods.len() as u64 * (u64::from(rounds) + 1));
        let mut runs = Vec::new();
        for &method in methods {
            bar.set_message(format!("{:?}: {method}, warm-up", self.deal));
            runs.push(self.prepare(shop, method).await?);
            bar.inc(1);
        }
        for round in 1..=rounds {
            for run in &mut runs {
                let method = run.method;
                bar.set_message(format!(
                    "{:?}: {method}, round {round} of {rounds}",
                    self.deal
                ));
                let turn = self.length / rounds;
                let tally =
                    buyers::buy_repeatedly(self.deal, &run.seller, &run.skus, self.buyers, turn);
                run.tally.add(tally.await?);
                bar.inc(1);
            }
            // Alternates the order, so that no method always follows the same one.
            runs.reverse();
        }
        if rounds % 2 == 1 {
            runs.reverse();
        }
        let mut rows = Vec::new();
        for run in runs {
            rows.push(self.row(shop, run).await?);
        }
        Ok(rows)
    }

    async fn prepare(self, shop: &Shop, method: Method) -> Result<Run, BoxError> {
        let warmup = self.add_products(shop, method, "warmup-").await?;
        let seller = shop.seller(method);
        buyers::buy_repeatedly(self.deal, &seller, &warmup, self.buyers, WARMUP).await?;
        Ok(Run {
            method,
            seller: shop.seller(method),
            skus: self.add_products(shop, method, "").await?,
            tally: Tally::default(),
        })
    }

    async fn add_products(
        self,
        shop: &Shop,
        method: Method,
        prefix: &str,
    ) -> Result<Arc<[Sku]>, BoxError> {
        let mut skus = Vec::new();
        for number in 1..=self.skus {
            let sku = Sku::new(format!(
                "{:?}-{}-{prefix}{method:?}-{number}",
                self.deal, self.buyers
            ))?;
            shop.add_product(method, &sku, self.stock).await?;
            skus.push(sku);
        }
        Ok(skus.into())
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a displayed rate; the number of orders stays far below 2^52"
    )]
    async fn row(self, shop: &Shop, run: Run) -> Result<Flooded, BoxError> {
        let mut sales = run.tally.sales;
        sales.sort_unstable();
        let counters = run.seller.counters();
        Ok(Flooded {
            strategy: run.method,
            buyers: self.buyers,
            skus: self.skus,
            orders: sales.len(),
            orders_per_second: rounded(sales.len() as f64 / run.tally.elapsed.as_secs_f64()),
            p50_ms: percentile(&sales, 50),
            p99_ms: percentile(&sales, 99),
            conflicts: counters.conflicts,
            attempts_mean: rounded(counters.attempts_mean),
            attempts_max: counters.attempts_max,
            escaped: run.tally.escaped,
            sold: shop.sold(run.method, self.deal, &run.skus).await?,
            sold_out: run.tally.refused > 0,
        })
    }
}

/// Returns a percentile of the latencies in milliseconds; 0 if there is none.
fn percentile(sorted: &[Duration], per_cent: usize) -> f64 {
    let rank = (sorted.len() * per_cent).div_ceil(100);
    let latency = rank.checked_sub(1).map_or(Duration::ZERO, |at| sorted[at]);
    rounded(latency.as_secs_f64() * 1_000.0)
}

/// Rounds to three decimals.
fn rounded(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}
