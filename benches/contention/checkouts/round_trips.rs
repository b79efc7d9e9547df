//! Throughput over a network with round trips of 0, 0.5 and 2 ms.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use support::table::{Cell, Table};

use super::{
    bench::{Bench, End},
    method::Method,
    shop::Shop,
};
use crate::{median, network};

const METHODS: [Method; 3] = [Method::ByHand, Method::Guarded, Method::Batched];

pub(super) fn table(bench: &Bench, rounds: usize, turn: Duration) -> Table {
    let mut titles = vec!["one product, 256 buyers:\nround trip".to_owned()];
    titles.extend(METHODS.map(|method| format!("{}\norders/s", method.name())));
    let compared = METHODS[1..].iter();
    titles.extend(compared.map(|method| format!("{}\nx by hand", method.name())));
    let mut table = Table::new(titles);
    for micros in [0, 500, 2_000] {
        let rates = rates(bench, micros, rounds, turn);
        let round_trip = match micros {
            0 => "none added".to_owned(),
            _ => format!("{} ms", micros as f64 / 1_000.0),
        };
        let mut cells = vec![Cell::number(round_trip)];
        cells.extend(rates.map(|rate| Cell::number(format!("{rate:.0}"))));
        let ratios = rates[1..].iter().map(|rate| rate / rates[0]);
        cells.extend(ratios.map(|ratio| Cell::number(format!("{ratio:.1}"))));
        table.add_row(cells);
    }
    table
}

/// Measures the methods in turns.
fn rates(bench: &Bench, micros: u64, rounds: usize, turn: Duration) -> [f64; METHODS.len()] {
    let shop = if micros == 0 {
        Arc::clone(&bench.shop)
    } else {
        let round_trip = Duration::from_micros(micros);
        let options = network::between(bench.database.options(), round_trip);
        Arc::new(bench.runtime.block_on(Shop::open(options)))
    };
    let mut rates = METHODS.map(|_| Vec::new());
    for _ in 0..rounds {
        for (method, rates) in METHODS.into_iter().zip(&mut rates) {
            let end = End::At(Instant::now() + turn);
            rates.push(bench.turn_at(&shop, method, 256, 1, end));
        }
    }
    if micros > 0 {
        bench.runtime.block_on(shop.pool.close());
    }
    rates.map(|mut rates| median(&mut rates))
}
