//! Checkouts that are written into the outbox as well.

use std::{sync::Arc, time::Duration};

use optilock::inventory::{BatchOptions, BatchedInventory};

use super::{
    bench::{BATCHED, Bench},
    comparison::Comparison,
    options::Options,
    seller::Seller,
    table::Bars,
};

const TITLE: &str = "256 buyers of one product: checkouts";
const OUTBOX: &str = "batched, with the outbox";

pub(super) fn measure(bench: &Bench, options: &Options) -> Bars {
    let with_outbox = bench.plain.clone().with_outbox();
    let with_outbox = BatchedInventory::new(with_outbox, BatchOptions::new());
    let sellers = [
        (BATCHED, bench.through_the_queue()),
        (OUTBOX, Seller::Library(Arc::new(with_outbox.clone()))),
    ];
    let candidates = bench.candidates(sellers, 256, async |seller, sku| {
        seller.buy(&sku).await;
        1
    });
    let comparison = Comparison::measure(options, TITLE, candidates);
    let shutdown = with_outbox.shutdown(Duration::from_secs(30));
    let shutdown = bench.runtime.block_on(shutdown);
    shutdown.expect("every request has its answer");
    let mut bars = Bars::new(TITLE);
    bars.ratio(&comparison, OUTBOX, BATCHED, Some(0.8));
    bars
}
