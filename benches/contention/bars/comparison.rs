//! A comparison of candidates that take turns.

use std::time::Duration;

use super::{options::Options, turn::Turn};
use crate::median;

/// The longest turn before the first round, in which statements are prepared. It does not count.
const WARM_UP: Duration = Duration::from_millis(300);

/// One candidate. Its function runs one turn of the given length.
pub(super) struct Candidate<'a> {
    name: &'static str,
    turn: Box<dyn FnMut(Duration) -> Turn + 'a>,
}

impl<'a> Candidate<'a> {
    pub(super) fn new(name: &'static str, turn: impl FnMut(Duration) -> Turn + 'a) -> Self {
        Self {
            name,
            turn: Box::new(turn),
        }
    }
}

/// The median of all rounds, and the lowest and the highest one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) lowest: f64,
    pub(super) highest: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        let median = median(&mut values);
        Self {
            median,
            lowest: values[0],
            highest: values[values.len() - 1],
        }
    }
}

/// The turns of all candidates.
pub(super) struct Comparison {
    turns: Vec<(&'static str, Vec<Turn>)>,
}

impl Comparison {
    /// Lets the candidates take turns, in alternating order, so that none always follows the same one.
    pub(super) fn measure(options: &Options, title: &str, candidates: Vec<Candidate<'_>>) -> Self {
        let rounds = options.rounds;
        let progress = options.progress(candidates.len() * (rounds + 1));
        let mut runs: Vec<_> = candidates
            .into_iter()
            .map(|candidate| (candidate, Vec::new()))
            .collect();
        for (candidate, _) in &mut runs {
            progress.set_message(format!("{title}: {}, warm-up", candidate.name));
            (candidate.turn)(options.window.min(WARM_UP));
            progress.inc(1);
        }
        for round in 1..=rounds {
            for (candidate, turns) in &mut runs {
                let name = candidate.name;
                progress.set_message(format!("{title}: {name}, round {round} of {rounds}"));
                turns.push((candidate.turn)(options.window));
                progress.inc(1);
            }
            runs.reverse();
        }
        progress.finish_and_clear();
        let turns = runs.into_iter();
        Self::new(turns.map(|(candidate, turns)| (candidate.name, turns)))
    }

    /// Compares turns that were taken elsewhere, as many of each candidate.
    pub(super) fn new(turns: impl IntoIterator<Item = (&'static str, Vec<Turn>)>) -> Self {
        Self {
            turns: turns.into_iter().collect(),
        }
    }

    fn turns(&self, name: &str) -> &[Turn] {
        let turns = self.turns.iter().find(|(other, _)| *other == name);
        &turns.expect("a candidate of this comparison").1
    }

    /// Returns the operations per second of a candidate.
    pub(super) fn rate(&self, name: &str) -> f64 {
        Spread::of(self.turns(name).iter().map(Turn::rate)).median
    }

    /// Returns the ratio of two candidates, which is taken in each round.
    pub(super) fn ratio(&self, subject: &str, reference: &str) -> Spread {
        let turns = self.turns(subject).iter().zip(self.turns(reference));
        Spread::of(turns.map(|(subject, reference)| subject.rate() / reference.rate()))
    }

    /// Returns a latency of a candidate in milliseconds.
    pub(super) fn latency(&self, name: &str, of: fn(&Turn) -> Duration) -> Spread {
        let turns = self.turns(name).iter();
        Spread::of(turns.map(|turn| of(turn).as_secs_f64() * 1_000.0))
    }
}
