//! Reservations of one product.

use super::{
    bench::{BATCHED, BY_HAND, Bench, ONE_BY_ONE},
    comparison::Comparison,
    options::Options,
    table::Bars,
};

const TITLE: &str = "256 callers hold one product: reservations";

pub(super) fn measure(bench: &Bench, options: &Options) -> (Comparison, Bars) {
    let candidates = bench.candidates(bench.sellers(), 256, async |seller, sku| {
        seller.reserve(&sku).await;
        1
    });
    let comparison = Comparison::measure(options, TITLE, candidates);
    let mut bars = Bars::new(TITLE);
    bars.ratio(&comparison, BATCHED, ONE_BY_ONE, Some(20.0));
    bars.ratio(&comparison, BATCHED, BY_HAND, None);
    (comparison, bars)
}
