//! The command line of the bars: `bars [NAME ..] [--seconds S] [--rounds N]`.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::bar::Bar;

/// How the bars are measured.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    bars: Vec<Bar>,
    /// Turns of each candidate.
    pub(super) rounds: usize,
    /// The length of a turn.
    pub(super) window: Duration,
}

impl Options {
    /// Reads the arguments: all bars if none is named, otherwise those that are.
    ///
    /// # Panics
    ///
    /// With the reason, if a value of an option is missing or out of range, or if an argument after `bars` is
    /// neither a bar nor an option.
    pub(crate) fn parse(arguments: &[String]) -> Self {
        let has = |flag: &str| arguments.iter().any(|argument| argument == flag);
        let (rounds, seconds) = if has("--test") {
            (1, 0.02)
        } else if has("--quick") {
            (1, 1.0)
        } else {
            (5, 2.0)
        };
        let value = |option: &str| {
            let at = arguments.iter().position(|argument| argument == option)?;
            let value = arguments.get(at + 1).and_then(|value| value.parse().ok());
            let value = value.filter(|value| (0.01..=600.0).contains(value));
            Some(value.unwrap_or_else(|| panic!("{option} needs a number from 0.01 to 600")))
        };
        let after = arguments.iter().skip_while(|argument| *argument != "bars");
        let mut bars = Vec::new();
        let mut names = after.skip(1);
        while let Some(name) = names.next() {
            match name.as_str() {
                "--seconds" | "--rounds" => drop(names.next()),
                flag if flag.starts_with('-') => {}
                "chart" => {}
                name => bars.push(Bar::named(name)),
            }
        }
        Self {
            bars: if bars.is_empty() {
                Bar::ALL.to_vec()
            } else {
                bars
            },
            rounds: value("--rounds").map_or(rounds, |rounds: f64| rounds.max(1.0) as usize),
            window: Duration::from_secs_f64(value("--seconds").unwrap_or(seconds)),
        }
    }

    pub(super) fn bars(&self) -> &[Bar] {
        &self.bars
    }

    /// Returns a progress bar, which is shown on a terminal only.
    pub(super) fn progress(&self, turns: usize) -> ProgressBar {
        let style = ProgressStyle::with_template("{bar:30.cyan} {pos}/{len} {msg}");
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        ProgressBar::new(turns as u64).with_style(style)
    }
}
