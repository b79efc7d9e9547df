//! One statement for each checkout, over many products, beside pgbench with the same statement.

use std::sync::Arc;

use optilock::inventory::{Inventory, PgInventory, Sku};

use super::{
    bench::Bench,
    comparison::{Candidate, Comparison},
    options::Options,
    pgbench,
    seller::cart,
    table::Bars,
};

const TITLE: &str = "32 connections, 1,000 products: checkouts";
const PGBENCH: &str = "pgbench";
pub(super) const PRODUCTS: u64 = 1_000;

/// The inventories that are compared with pgbench, each with its bar.
fn inventories(bench: &Bench) -> Vec<(&'static str, PgInventory, Option<f64>)> {
    let reusing = bench.plain.clone().with_connection_reuse();
    vec![
        ("guarded", bench.plain.clone(), Some(1.0)),
        ("guarded, with connection reuse", reusing, None),
    ]
}

/// Returns nothing if pgbench is not installed.
pub(super) fn measure(bench: &Bench, options: &Options) -> Option<Bars> {
    if !pgbench::is_installed() {
        println!("{TITLE}: pgbench is not installed, no comparison.");
        return None;
    }
    let products = 0..PRODUCTS;
    let skus: Arc<[Sku]> = products
        .map(|number| bench.product(&pgbench::sku(number)))
        .collect();
    let mut candidates = vec![Candidate::new(PGBENCH, |window| {
        pgbench::turn(bench.database.url(), window)
    })];
    for (name, inventory, _) in inventories(bench) {
        let skus = Arc::clone(&skus);
        candidates.push(Candidate::new(name, move |window| {
            let (inventory, skus) = (inventory.clone(), Arc::clone(&skus));
            bench.turn(32, window, move || {
                let sku = &skus[rand::random_range(0..skus.len())];
                let (inventory, cart) = (inventory.clone(), cart(sku));
                async move {
                    let order = inventory.checkout(cart).await;
                    order.expect("there is stock");
                    1
                }
            })
        }));
    }
    let comparison = Comparison::measure(options, TITLE, candidates);
    let mut bars = Bars::new(TITLE);
    for (name, _, bar) in inventories(bench) {
        bars.ratio(&comparison, name, PGBENCH, bar);
    }
    Some(bars)
}
