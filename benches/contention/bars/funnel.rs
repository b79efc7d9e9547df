//! The steps of a sale, as the chart shows them.

use super::{
    bar::Bar,
    bench::{BATCHED, BY_HAND, ONE_BY_ONE},
    comparison::Comparison,
};

/// The ways of a sale, in the order of [`Step::rates`].
pub(crate) const WAYS: [&str; 3] = [BY_HAND, ONE_BY_ONE, BATCHED];

/// One step of a sale.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    /// Per second, in the order of [`WAYS`].
    pub(crate) rates: [f64; WAYS.len()],
}

/// Returns the rates of one step.
pub(super) fn step(bar: Bar, comparison: &Comparison) -> Step {
    Step {
        name: match bar {
            Bar::Sale => "reserve, buy, pay",
            other => other.name(),
        },
        rates: WAYS.map(|way| comparison.rate(way)),
    }
}
