//! Many buyers who start together.

use std::{sync::Arc, time::Duration};

use optilock::inventory::Sku;
use tokio::{sync::Barrier, task::JoinSet, time::Instant};

use crate::{
    fault::Fault,
    seller::{Answer, Seller},
};

/// What a crowd was told, all together.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// How long each sale took.
    pub(crate) sales: Vec<Duration>,
    pub(crate) refused: u64,
    /// Conflicts that reached a buyer.
    pub(crate) escaped: u64,
    /// From the start until the last was answered.
    pub(crate) elapsed: Duration,
}

impl Outcome {
    pub(crate) fn add(&mut self, other: Self) {
        self.sales.extend(other.sales);
        self.refused += other.refused;
        self.escaped += other.escaped;
        self.elapsed += other.elapsed;
    }

    /// True when it goes on, false when the shelf is empty.
    async fn buy(&mut self, seller: &Seller, sku: &Sku) -> Result<bool, Fault> {
        let start = Instant::now();
        let answer = seller.buy(sku).await?;
        match answer {
            Answer::Sold => self.sales.push(start.elapsed()),
            Answer::Refused => self.refused += 1,
            Answer::Conflict => self.escaped += 1,
        }
        Ok(answer != Answer::Refused)
    }
}

/// Each buys once.
pub(crate) async fn once(seller: &Seller, sku: &Sku, buyers: u32) -> Result<Outcome, Fault> {
    let skus = Arc::from([sku.clone()]);
    run(seller, &skus, buyers, None).await
}

/// Each buys again and again, choosing at random, for so long or until the shelf is empty.
pub(crate) async fn again(
    seller: &Seller,
    skus: &Arc<[Sku]>,
    buyers: u32,
    length: Duration,
) -> Result<Outcome, Fault> {
    run(seller, skus, buyers, Some(length)).await
}

async fn run(
    seller: &Seller,
    skus: &Arc<[Sku]>,
    buyers: u32,
    length: Option<Duration>,
) -> Result<Outcome, Fault> {
    let barrier = Arc::new(Barrier::new(buyers as usize + 1));
    let mut crowd = JoinSet::new();
    for _ in 0..buyers {
        let (seller, skus, barrier) = (seller.clone(), Arc::clone(skus), Arc::clone(&barrier));
        crowd.spawn(async move {
            let mut outcome = Outcome::default();
            barrier.wait().await;
            let start = Instant::now();
            loop {
                let sku = &skus[rand::random_range(0..skus.len())];
                let goes_on = outcome.buy(&seller, sku).await?;
                if !goes_on || length.is_none_or(|length| start.elapsed() >= length) {
                    return Ok::<_, Fault>(outcome);
                }
            }
        });
    }
    barrier.wait().await;
    let start = Instant::now();
    let mut all = Outcome::default();
    while let Some(buyer) = crowd.join_next().await {
        all.add(buyer??);
    }
    all.elapsed = start.elapsed();
    Ok(all)
}
