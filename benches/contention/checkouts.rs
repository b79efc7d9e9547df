//! Checkouts of one unit by every strategy, over numbers of buyers and products.
//!
//! All methods write the same rows, including ledger and idempotency keys, over 32 connections: with one
//! connection per buyer, a server of 2 cores would spend its time on context switches.

mod bench;
mod method;
mod round_trips;
mod shop;
mod table;

use std::time::Duration;

use criterion::Criterion;
use support::Server;

use self::bench::Bench;
pub(crate) use self::method::Method;

const BUYERS: [u64; 6] = [1, 2, 8, 32, 128, 256];
const PRODUCTS: [u64; 3] = [1, 10, 1_000];

/// Orders per second of each method, in the order of [`Method::ALL`].
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) products: u64,
    pub(crate) buyers: u64,
    pub(crate) rates: [f64; Method::ALL.len()],
}

/// Runs the benchmarks that the filter of criterion selects, then prints the tables.
pub(crate) fn run(
    criterion: &mut Criterion,
    server: &Server,
    rounds: usize,
    only_a_test: bool,
) -> Vec<Measured> {
    let bench = Bench::open(server);
    bench.measure(criterion);
    let mut measured = Vec::new();
    let turn = Duration::from_millis(if only_a_test { 20 } else { 400 });
    if rounds > 0 {
        for products in PRODUCTS {
            for buyers in BUYERS {
                measured.push(bench.compare(products, buyers, rounds, turn));
            }
            let rows = measured.iter().filter(|row| row.products == products);
            println!("{}", table::of(products, rows));
        }
        println!("{}", round_trips::table(&bench, rounds.min(3), turn * 3));
    }
    bench.close();
    measured
}
