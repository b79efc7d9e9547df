//! Concurrent buyers that start at the same time.

use std::{sync::Arc, time::Duration};

use optilock::inventory::Sku;
use tokio::{sync::Barrier, task::JoinSet, time::Instant};

use crate::{
    error::BoxError,
    seller::{Deal, Outcome, Seller},
};

/// The outcomes of all buyers.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// The latency of each sale.
    pub(crate) sales: Vec<Duration>,
    pub(crate) refused: u64,
    /// Conflicts that reached a buyer.
    pub(crate) escaped: u64,
    /// From the start until the last buyer has finished.
    pub(crate) elapsed: Duration,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.sales.extend(other.sales);
        self.refused += other.refused;
        self.escaped += other.escaped;
        self.elapsed += other.elapsed;
    }

    /// Makes one deal. Returns false if the product is sold out.
    async fn make(&mut self, deal: Deal, seller: &Seller, sku: &Sku) -> Result<bool, BoxError> {
        let start = Instant::now();
        let outcome = seller.make(deal, sku).await?;
        match outcome {
            Outcome::Sold => self.sales.push(start.elapsed()),
            Outcome::Refused => self.refused += 1,
            Outcome::Conflict => self.escaped += 1,
        }
        Ok(outcome != Outcome::Refused)
    }
}

/// Each buyer sends one checkout.
pub(crate) async fn buy_once(seller: &Seller, sku: &Sku, buyers: u32) -> Result<Tally, BoxError> {
    let skus = Arc::from([sku.clone()]);
    run(Deal::Checkout, seller, &skus, buyers, None).await
}

/// Each buyer makes deals for randomly chosen products until the time is over or one is sold out.
pub(crate) async fn buy_repeatedly(
    deal: Deal,
    seller: &Seller,
    skus: &Arc<[Sku]>,
    buyers: u32,
    length: Duration,
) -> Result<Tally, BoxError> {
    run(deal, seller, skus, buyers, Some(length)).await
}

async fn run(
    deal: Deal,
    seller: &Seller,
    skus: &Arc<[Sku]>,
    buyers: u32,
    length: Option<Duration>,
) -> Result<Tally, BoxError> {
    let barrier = Arc::new(Barrier::new(buyers as usize + 1));
    let mut tasks = JoinSet::new();
    for _ in 0..buyers {
        let (seller, skus, barrier) = (seller.clone(), Arc::clone(skus), Arc::clone(&barrier));
        tasks.spawn(async move {
            let mut tally = Tally::default();
            barrier.wait().await;
            let start = Instant::now();
            loop {
                let sku = &skus[rand::random_range(0..skus.len())];
                let available = tally.make(deal, &seller, sku).await?;
                if !available || length.is_none_or(|length| start.elapsed() >= length) {
                    return Ok::<_, BoxError>(tally);
                }
            }
        });
    }
    barrier.wait().await;
    let start = Instant::now();
    let mut total = Tally::default();
    while let Some(tally) = tasks.join_next().await {
        total.add(tally??);
    }
    total.elapsed = start.elapsed();
    Ok(total)
}
