//! The bars: ratios that the crate promises, each measured within one run and beside its reference.
//!
//! The candidates take turns, over 32 connections in total, and write the same rows. A ratio is that of one round;
//! tables show the median of all rounds, with the lowest and the highest.

mod bar;
mod batch_statement;
mod bench;
mod checkout;
mod comparison;
mod funnel;
mod guarded;
mod mixed;
mod one_caller;
mod optimistic;
mod options;
mod outbox;
mod pay;
mod pgbench;
mod processes;
mod reserve;
mod sale;
mod schemas;
mod seller;
mod storefront;
mod table;
mod turn;

use support::Server;

use self::{bar::Bar, bench::Bench, table::Score};
pub(crate) use self::{
    funnel::{Step, WAYS},
    options::Options,
    processes::serve,
};

/// Measures the bars and prints their tables. Returns the steps of a sale that were measured.
pub(crate) fn run(server: &Server, options: &Options) -> Vec<Step> {
    let (mut steps, mut score) = (Vec::new(), Score::default());
    for &bar in options.bars() {
        let bench = Bench::open(server, bar.name());
        let mut add = |(comparison, bars)| {
            steps.push(funnel::step(bar, &comparison));
            vec![bars]
        };
        let tables = match bar {
            Bar::Checkout => add(checkout::measure(&bench, options)),
            Bar::Reserve => add(reserve::measure(&bench, options)),
            Bar::Pay => add(pay::measure(&bench, options)),
            Bar::Sale => add(sale::measure(&bench, options)),
            Bar::Outbox => vec![outbox::measure(&bench, options)],
            Bar::Processes => vec![processes::measure(&bench, options)],
            Bar::OneCaller => vec![one_caller::measure(&bench, options)],
            Bar::Guarded => guarded::measure(&bench, options).into_iter().collect(),
            Bar::Optimistic => optimistic::measure(&bench, options),
            Bar::Mixed => vec![mixed::measure(&bench, options)],
            Bar::Storefront => vec![storefront::measure(&bench, options)],
            Bar::Schemas => schemas::measure(&bench, options),
        };
        bench.close();
        for table in tables {
            table.print();
            score.add(table.score);
        }
    }
    println!("{} of {} bars are reached.", score.reached, score.bars);
    steps
}
