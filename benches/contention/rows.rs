//! The cost of versioned rows compared with handwritten SQL: `update`, `modify` and `transact` by one
//! writer, and by 2, 8 and 32 writers of one row.
//!
//! In groups that do not wait for the disk, commits are asynchronous: they show the cost of the client.

mod account;
mod bank;
mod bench;
mod group;
mod operation;

use criterion::Criterion;
use support::Server;

use self::{bench::Bench, group::GROUPS};

/// Runs the benchmarks that the filter of criterion selects, then prints the tables.
pub(crate) fn run(criterion: &mut Criterion, server: &Server, rounds: usize) {
    let bench = Bench::open(server);
    for group in &GROUPS {
        bench.measure(criterion, group);
    }
    if rounds > 0 {
        for group in &GROUPS {
            println!("{}", bench.compare(group, rounds));
        }
    }
    bench.close();
}
