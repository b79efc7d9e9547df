//! Checkouts of one product by one, two and four processes, with 256 buyers in total.

mod application;

use std::time::Duration;

use super::{
    bench::Bench,
    comparison::{Candidate, Comparison},
    options::Options,
    table::Bars,
    turn::Turn,
};
use application::Application;
pub(crate) use application::serve;

const TITLE: &str = "256 buyers of one product, in total: checkouts";
const ONE: &str = "one process";
const TWO: &str = "two processes";
const FOUR: &str = "four processes";

pub(super) fn measure(bench: &Bench, options: &Options) -> Bars {
    let candidates = [(ONE, 1), (TWO, 2), (FOUR, 4)].map(|(name, processes)| {
        let sku = bench.product(name);
        let url = bench.database.url();
        let mut applications: Vec<_> = (0..processes)
            .map(|_| Application::start(url, &sku, processes))
            .collect();
        Candidate::new(name, move |window| turn(&mut applications, window))
    });
    let comparison = Comparison::measure(options, TITLE, candidates.into());
    let mut bars = Bars::new(TITLE);
    bars.ratio(&comparison, TWO, ONE, Some(0.9));
    bars.ratio(&comparison, FOUR, ONE, Some(0.9));
    bars
}

/// Lets all processes sell at the same time. The latencies are those of the slowest process.
fn turn(applications: &mut [Application], window: Duration) -> Turn {
    for application in &mut *applications {
        application.start_turn(window);
    }
    let turns: Vec<Turn> = applications.iter_mut().map(Application::end_turn).collect();
    let longest = |of: fn(&Turn) -> Duration| turns.iter().map(of).max().unwrap_or_default();
    Turn {
        done: turns.iter().map(|turn| turn.done).sum(),
        elapsed: longest(|turn| turn.elapsed),
        p50: longest(|turn| turn.p50),
        p99: longest(|turn| turn.p99),
    }
}
