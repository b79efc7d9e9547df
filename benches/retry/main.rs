//! The cost of a retry, without and with failures: optilock compared with a bare call, backon and
//! tokio-retry2.
//!
//! `cargo bench --bench retry` ends with tables of ratios: medians of rounds in which the candidates take
//! turns, so that a change of the machine's speed affects all of them. The feature `metrics` is on;
//! "counting recorder" is optilock with a recorder that only counts, the other rows have no recorder.

mod candidate;
mod cases;
mod comparison;
mod operation;
mod policy;
mod recorder;

use criterion::Criterion;

use crate::cases::{AWAITED, POLLED, THREE_FAILURES, WAITING};

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    comparison::measure(&mut criterion, "success, waiting", &WAITING);
    comparison::measure(&mut criterion, "success, awaited", &AWAITED);
    comparison::measure(&mut criterion, "success, polled", &POLLED);
    comparison::measure(&mut criterion, "three failures", &THREE_FAILURES);
    criterion.final_summary();

    let has_flag = |flag: &str| std::env::args().any(|argument| argument == flag);
    if has_flag("--list") {
        return;
    }
    let rounds = if has_flag("--test") { 1 } else { 301 };
    for (title, candidates) in [
        ("first attempt succeeds, waiting once", &WAITING[..]),
        ("first attempt succeeds, awaited", &AWAITED),
        ("first attempt succeeds, polled", &POLLED),
        ("three failures, zero delay", &THREE_FAILURES),
    ] {
        println!("{}", comparison::ratios(title, candidates, rounds));
    }
    assert_ne!(recorder::count(), 0, "the recorder counts");
}
