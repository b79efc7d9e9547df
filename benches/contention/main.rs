//! Contention: checkouts by every strategy, the bars of the whole sale, and versioned rows, compared with
//! handwritten code.
//!
//! `cargo bench --bench contention` ends with tables of ratios. `-- tables` prints only the tables, `-- rows`
//! only those of versioned rows and transactions, `-- bars` only those with bars, which `-- bars sale pay` restricts
//! to some and `--seconds`, `--rounds` shorten. `-- --quick` takes six minutes including criterion's own figures, and
//! `-- chart` draws `benches/contention.svg` from the tables. The candidates of a table take turns, so that a change
//! of the machine's speed affects all of them. The server is durable, as in production.

mod bars;
mod chart;
mod checkouts;
mod network;
mod pool;
mod rows;

use criterion::Criterion;
use support::{Durability, Server};

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    if bars::serve() {
        return;
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has_flag = |flag: &str| arguments.iter().any(|argument| argument == flag);
    let server = Server::find_or_start(Durability::Durable).expect("a PostgreSQL server");
    server.create_wal_segments(64).expect("a server");
    println!("{}", server.version());
    let options = bars::Options::parse(&arguments);
    if has_flag("bars") {
        bars::run(&server, &options);
        return;
    }
    let mut criterion = Criterion::default().configure_from_args();
    let (row_rounds, checkout_rounds) = if has_flag("--list") {
        (0, 0)
    } else if has_flag("--test") {
        (1, 1)
    } else if has_flag("--quick") {
        (5, 1)
    } else {
        (25, 5)
    };
    // Criterion takes "tables", "rows" and "chart" as filters, and no benchmark has such a name.
    let (mut measured, mut steps) = (Vec::new(), Vec::new());
    if !has_flag("rows") {
        measured = checkouts::run(&mut criterion, &server, checkout_rounds, has_flag("--test"));
        if checkout_rounds > 0 {
            steps = bars::run(&server, &options);
        }
    }
    rows::run(&mut criterion, &server, row_rounds);
    criterion.final_summary();
    if has_flag("chart") {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/contention.svg");
        chart::draw(&measured, &steps, file).expect("the chart can be written");
        println!("wrote {file}");
    }
}
