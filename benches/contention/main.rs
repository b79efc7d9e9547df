//! Many writers of few rows: checkouts by every strategy, and versioned rows, beside what one writes by
//! hand.
//!
//! `cargo bench --bench contention` ends with tables of ratios; `-- tables` prints them alone, `--
//! rows` those of versioned rows and transactions, `-- --quick` within five minutes with criterion's own figures, and `-- chart` draws
//! `benches/contention.svg` from them. The tables are measured in turns, so that a machine that changes its pace
//! does so for everybody. The server is durable, as in production.

mod chart;
mod checkouts;
mod network;
mod rows;

use criterion::Criterion;
use support::{Durability, Server};

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let asked = |flag: &str| std::env::args().any(|argument| argument == flag);
    let mut criterion = Criterion::default().configure_from_args();
    let server = Server::find_or_start(Durability::Durable).expect("a PostgreSQL server");
    let (of_rows, of_checkouts) = if asked("--list") {
        (0, 0)
    } else if asked("--test") {
        (1, 1)
    } else if asked("--quick") {
        (5, 1)
    } else {
        (25, 5)
    };
    // "tables", "rows" and "chart" are the names of nothing that criterion measures.
    println!("{}", server.version());
    let measured = if asked("rows") {
        Vec::new()
    } else {
        checkouts::run(&mut criterion, &server, of_checkouts, asked("--test"))
    };
    rows::run(&mut criterion, &server, of_rows);
    criterion.final_summary();
    if asked("chart") {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/contention.svg");
        chart::draw(&measured, file).expect("the chart can be written");
        println!("drawn: {file}");
    }
}
