//! The tables of bars: one line for each ratio, with its bar and whether it is reached.

use support::table::{Cell, Table};

use super::{
    comparison::{Comparison, Spread},
    turn::Turn,
};

/// The table of one comparison.
pub(super) struct Bars {
    table: Table,
    pub(super) score: Score,
}

/// The number of bars, and of those that are reached.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Score {
    pub(crate) reached: usize,
    pub(crate) bars: usize,
}

impl Score {
    pub(super) fn add(&mut self, other: Self) {
        self.reached += other.reached;
        self.bars += other.bars;
    }

    /// Counts a bar. Returns the cell that says whether it is reached.
    fn count(&mut self, reached: bool) -> Cell {
        self.bars += 1;
        self.reached += usize::from(reached);
        Cell::new(if reached { "reached" } else { "not reached" }).good(reached)
    }
}

impl Bars {
    /// Creates a table. The title says what is counted, by how many callers.
    pub(super) fn new(title: &str) -> Self {
        let titles = [
            title,
            "per s",
            "reference\nper s",
            "ratio",
            "lowest to\nhighest",
            "bar",
            "",
            "p50\nms",
            "p99\nms",
        ];
        Self {
            table: Table::new(titles),
            score: Score::default(),
        }
    }

    /// Adds the ratio of two candidates. Without a bar it is for information.
    pub(super) fn ratio(
        &mut self,
        comparison: &Comparison,
        subject: &str,
        reference: &str,
        bar: Option<f64>,
    ) {
        let label = format!("{subject} / {reference}");
        self.labelled(&label, comparison, subject, reference, bar);
    }

    /// As [`Self::ratio`], under another label.
    pub(super) fn labelled(
        &mut self,
        label: &str,
        comparison: &Comparison,
        subject: &str,
        reference: &str,
        bar: Option<f64>,
    ) {
        let ratio = comparison.ratio(subject, reference);
        let latency = |of| format!("{:.2}", comparison.latency(subject, of).median);
        let reached = match bar {
            Some(bar) => self.score.count(ratio.median >= bar),
            None => Cell::new("-"),
        };
        self.table.add_row([
            Cell::new(label),
            Cell::number(format!("{:.0}", comparison.rate(subject))),
            Cell::number(format!("{:.0}", comparison.rate(reference))),
            Cell::number(format!("{:.2}", ratio.median)),
            Cell::number(range(ratio)),
            Cell::number(bar.map_or("-".to_owned(), |bar| format!(">= {bar}"))),
            reached,
            Cell::number(latency(|turn: &Turn| turn.p50)),
            Cell::number(latency(|turn: &Turn| turn.p99)),
        ]);
    }

    /// Adds the 99th percentile of a candidate's latency, which must be less than a number of milliseconds.
    pub(super) fn p99(&mut self, comparison: &Comparison, subject: &str, bar: f64) {
        let latency = comparison.latency(subject, |turn| turn.p99);
        let reached = self.score.count(latency.median < bar);
        self.table.add_row([
            Cell::new(format!("{subject}: p99 in ms")),
            Cell::number("-"),
            Cell::number("-"),
            Cell::number(format!("{:.2}", latency.median)),
            Cell::number(range(latency)),
            Cell::number(format!("< {bar}")),
            reached,
            Cell::number("-"),
            Cell::number("-"),
        ]);
    }

    pub(super) fn print(&self) {
        println!("{}", self.table);
    }
}

fn range(spread: Spread) -> String {
    format!("{:.2} to {:.2}", spread.lowest, spread.highest)
}
