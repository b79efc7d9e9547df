//! Payments of orders of one product.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use optilock::inventory::{OrderId, Sku};
use tokio::task::JoinSet;

use super::{
    bench::{BATCHED, BY_HAND, Bench, ONE_BY_ONE},
    comparison::{Candidate, Comparison},
    options::Options,
    table::Bars,
};

const TITLE: &str = "256 callers: payments";
const CALLERS: usize = 256;

/// The most orders of one turn, which take a few seconds to create.
const MOST: f64 = 200_000.0;

pub(super) fn measure(bench: &Bench, options: &Options) -> (Comparison, Bars) {
    let sku = bench.product("pot");
    let mut candidates = Vec::new();
    for (name, seller) in bench.sellers() {
        let sku = &sku;
        // Per second, in the last turn.
        let mut rate = 2_000.0;
        candidates.push(Candidate::new(name, move |window| {
            // More orders than the last turn paid, as a turn ends early when all are paid.
            let orders = (rate * 1.5 * window.as_secs_f64()).clamp(CALLERS as f64, MOST);
            let orders: Arc<[OrderId]> = unpaid(bench, sku, orders as usize).into();
            let next = Arc::new(AtomicUsize::new(0));
            let seller = seller.clone();
            let turn = bench.turn(CALLERS as u64, window, move || {
                let order = orders.get(next.fetch_add(1, Relaxed)).copied();
                let seller = seller.clone();
                async move {
                    let Some(order) = order else { return 0 };
                    seller.pay(order).await;
                    1
                }
            });
            rate = turn.rate();
            turn
        }));
    }
    let comparison = Comparison::measure(options, TITLE, candidates);
    let mut bars = Bars::new(TITLE);
    bars.ratio(&comparison, BATCHED, ONE_BY_ONE, Some(8.0));
    bars.ratio(&comparison, BATCHED, BY_HAND, None);
    (comparison, bars)
}

/// Creates orders, outside of the measurement.
fn unpaid(bench: &Bench, sku: &Sku, orders: usize) -> Vec<OrderId> {
    let seller = bench.through_the_queue();
    bench.runtime.block_on(async {
        let mut buyers = JoinSet::new();
        for _ in 0..CALLERS {
            let (seller, sku) = (seller.clone(), sku.clone());
            buyers.spawn(async move {
                let mut ids = Vec::new();
                for _ in 0..orders.div_ceil(CALLERS) {
                    ids.push(seller.buy(&sku).await);
                }
                ids
            });
        }
        let mut ids: Vec<OrderId> = buyers.join_all().await.into_iter().flatten().collect();
        // Payments arrive about in the order of the sales.
        ids.sort_unstable();
        ids
    })
}
