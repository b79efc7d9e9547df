//! The strategy `Optimistic` by one buyer, and by two buyers of one product.

use std::sync::Arc;

use optilock::inventory::Strategy;

use super::{
    bench::{BY_HAND, Bench},
    comparison::Comparison,
    options::Options,
    seller::Seller,
    table::Bars,
};

const OPTIMISTIC: &str = "optimistic";
const REUSING: &str = "optimistic, with connection reuse";

pub(super) fn measure(bench: &Bench, options: &Options) -> Vec<Bars> {
    let inventory = bench.plain.clone().with_strategy(Strategy::Optimistic);
    let reusing = Seller::Library(Arc::new(inventory.clone().with_connection_reuse()));
    let optimistic = Seller::Library(Arc::new(inventory));
    let by_hand = Seller::ByHand(bench.pool.clone());
    let mut tables = Vec::new();
    for (buyers, title) in [
        (1, "one buyer: checkouts"),
        (2, "two buyers of one product: checkouts"),
    ] {
        let sellers = [
            (BY_HAND, by_hand.clone()),
            (OPTIMISTIC, optimistic.clone()),
            (REUSING, reusing.clone()),
        ];
        let candidates = bench.candidates(sellers, buyers, async |seller, sku| {
            seller.buy(&sku).await;
            1
        });
        let comparison = Comparison::measure(options, title, candidates);
        let mut bars = Bars::new(title);
        bars.ratio(&comparison, OPTIMISTIC, BY_HAND, Some(1.15));
        bars.ratio(&comparison, REUSING, BY_HAND, None);
        tables.push(bars);
    }
    tables
}
