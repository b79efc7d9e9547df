//! Buyers order as fast as they can: what does it cost not to oversell?

use std::{sync::Arc, time::Duration};

use indicatif::ProgressBar;
use optilock::inventory::{Sku, Stock};

use crate::{
    contender::Contender,
    crowd::{self, Outcome},
    fault::Fault,
    report::Flooded,
    seller::Seller,
    shop::Shop,
};

/// Contenders take turns of about this length, so that a machine that is busy with something else
/// for a while slows all of them down alike.
const TURN: Duration = Duration::from_millis(500);

/// Before anything is measured, on another shelf.
const PRACTICE: Duration = Duration::from_millis(300);

/// What is asked of all contenders.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flood {
    pub(crate) buyers: u32,
    pub(crate) skus: u32,
    pub(crate) stock: Stock,
    pub(crate) length: Duration,
}

/// One contender, with a shelf of its own.
struct Lane {
    contender: Contender,
    seller: Seller,
    skus: Arc<[Sku]>,
    outcome: Outcome,
}

impl Flood {
    pub(crate) async fn run(
        self,
        shop: &Shop,
        contenders: &[Contender],
        bar: &ProgressBar,
    ) -> Result<Vec<Flooded>, Fault> {
        let rounds = u32::try_from(self.length.as_millis().div_ceil(TURN.as_millis()))?;
        bar.set_length(contenders.len() as u64 * (u64::from(rounds) + 1));
        let mut lanes = Vec::new();
        for &contender in contenders {
            bar.set_message(format!("flood: {contender}, warming up"));
            lanes.push(self.lane(shop, contender).await?);
            bar.inc(1);
        }
        for round in 1..=rounds {
            for lane in &mut lanes {
                let contender = lane.contender;
                bar.set_message(format!("flood: {contender}, round {round} of {rounds}"));
                let turn = self.length / rounds;
                let outcome = crowd::again(&lane.seller, &lane.skus, self.buyers, turn).await?;
                lane.outcome.add(outcome);
                bar.inc(1);
            }
            // Nobody always comes after the same one.
            lanes.reverse();
        }
        if rounds % 2 == 1 {
            lanes.reverse();
        }
        let mut rows = Vec::new();
        for lane in lanes {
            rows.push(self.row(shop, lane).await?);
        }
        Ok(rows)
    }

    async fn lane(self, shop: &Shop, contender: Contender) -> Result<Lane, Fault> {
        let practice = self.shelf(shop, contender, "practice-").await?;
        crowd::again(&shop.seller(contender), &practice, self.buyers, PRACTICE).await?;
        Ok(Lane {
            contender,
            seller: shop.seller(contender),
            skus: self.shelf(shop, contender, "").await?,
            outcome: Outcome::default(),
        })
    }

    async fn shelf(
        self,
        shop: &Shop,
        contender: Contender,
        name: &str,
    ) -> Result<Arc<[Sku]>, Fault> {
        let mut skus = Vec::new();
        for number in 1..=self.skus {
            let sku = Sku::new(format!(
                "flood-{}-{name}{contender:?}-{number}",
                self.buyers
            ))?;
            shop.add_product(contender, &sku, self.stock).await?;
            skus.push(sku);
        }
        Ok(skus.into())
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "rates for people; orders stay far below 2^52"
    )]
    async fn row(self, shop: &Shop, lane: Lane) -> Result<Flooded, Fault> {
        let mut sales = lane.outcome.sales;
        sales.sort_unstable();
        let effort = lane.seller.effort();
        Ok(Flooded {
            strategy: lane.contender,
            buyers: self.buyers,
            skus: self.skus,
            orders: sales.len(),
            orders_per_second: rounded(sales.len() as f64 / lane.outcome.elapsed.as_secs_f64()),
            p50_ms: percentile(&sales, 50),
            p99_ms: percentile(&sales, 99),
            conflicts: effort.conflicts,
            attempts_mean: rounded(effort.attempts_mean),
            attempts_max: effort.attempts_max,
            escaped: lane.outcome.escaped,
            sold: shop.sold(lane.contender, &lane.skus).await?,
            sold_out: lane.outcome.refused > 0,
        })
    }
}

/// The latency that so many per cent did not exceed, in milliseconds; 0 if nothing was sold.
fn percentile(sorted: &[Duration], per_cent: usize) -> f64 {
    let rank = (sorted.len() * per_cent).div_ceil(100);
    let latency = rank.checked_sub(1).map_or(Duration::ZERO, |at| sorted[at]);
    rounded(latency.as_secs_f64() * 1_000.0)
}

/// To three decimals: more would pretend.
fn rounded(number: f64) -> f64 {
    (number * 1_000.0).round() / 1_000.0
}
