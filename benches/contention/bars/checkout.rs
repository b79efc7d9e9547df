//! Checkouts of one product.

use super::{
    batch_statement,
    bench::{BATCHED, BY_HAND, Bench, ONE_BY_ONE},
    comparison::{Candidate, Comparison},
    options::Options,
    table::Bars,
};

const TITLE: &str = "256 buyers of one product: checkouts";
const STATEMENT: &str = "its statement alone";

pub(super) fn measure(bench: &Bench, options: &Options) -> (Comparison, Bars) {
    let mut candidates = bench.candidates(bench.sellers(), 256, async |seller, sku| {
        seller.buy(&sku).await;
        1
    });
    let sku = bench.product(STATEMENT);
    candidates.push(Candidate::new(STATEMENT, move |window| {
        batch_statement::turn(bench, &sku, window)
    }));
    let comparison = Comparison::measure(options, TITLE, candidates);
    let mut bars = Bars::new(TITLE);
    bars.ratio(&comparison, BATCHED, BY_HAND, Some(45.0));
    bars.ratio(&comparison, BATCHED, STATEMENT, Some(0.9));
    bars.ratio(&comparison, BATCHED, ONE_BY_ONE, None);
    bars.p99(&comparison, BATCHED, 25.0);
    (comparison, bars)
}
