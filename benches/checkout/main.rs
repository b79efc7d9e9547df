//! The cost of checkouts: by lines per cart, by size of the catalogue; of reservations and
//! cancellations; and of the clean-up of unpaid orders, with and without concurrent
//! checkouts of other products.
//!
//! `cargo bench --bench checkout` ends with tables; `-- tables` prints only the tables. The server is
//! durable, as in production.

mod bench;
mod buyers;
mod cancellation;
mod cleanup;
mod cost;
mod unpaid;

use criterion::Criterion;
use support::{Durability, Server};

use crate::bench::Bench;

fn main() {
    let has_flag = |flag: &str| std::env::args().any(|argument| argument == flag);
    let mut criterion = Criterion::default().configure_from_args();
    let server = Server::find_or_start(Durability::Durable).expect("a PostgreSQL server");
    server.create_wal_segments(64).expect("a server");
    let bench = Bench::open(&server);
    // Criterion takes "tables" as a filter, and no benchmark has that name.
    cost::measure(&bench, &mut criterion);
    cleanup::measure(&bench, &mut criterion);
    criterion.final_summary();
    if !has_flag("--list") {
        println!("{}", server.version());
        if has_flag("--test") {
            cleanup::compare(&bench, 1, 2_000);
            cancellation::compare(&bench, 1, 256);
            cost::compare(&bench, 1, 10, 1_000);
        } else {
            cleanup::compare(&bench, 5, 100_000);
            cancellation::compare(&bench, 5, 2_000);
            cost::compare(&bench, 5, 400, 1_000_000);
        }
    }
    bench.close();
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
