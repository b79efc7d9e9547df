//! The command line.

use std::time::Duration;

use clap::{Parser, ValueEnum, value_parser};
use optilock::inventory::Stock;

use crate::{contender::Contender, fault::Fault};

/// Shows who oversells, who does not, and how fast, on a real PostgreSQL.
///
/// Uses the server at DATABASE_URL, in a database of its own that it drops at the end; else starts a
/// throwaway server, which leaves nothing behind either.
#[derive(Debug, Parser)]
#[command(name = "checkout")]
pub(crate) struct Options {
    /// Buyers at the same time, each with a connection: 1 to 256 [default: race 64, flood 32, and
    /// at last 256 who share the connections]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=256))]
    buyers: Option<u32>,

    /// Units of each product at the start [default: race 10, flood as many as there can be]
    #[arg(long, value_name = "N", value_parser = value_parser!(i64).range(1..=Stock::MAX.get()))]
    stock: Option<i64>,

    /// Products among which the flood's buyers choose at random: 1 to 10,000. The race has one
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..=10_000))]
    pub(crate) skus: u32,

    /// How long the flood lasts for each strategy, in seconds: 0.1 to 600
    #[arg(long, value_name = "S", default_value = "3", value_parser = seconds)]
    pub(crate) seconds: Duration,

    /// Who takes part; may be repeated, or a list with commas [default: all]
    #[arg(long = "strategy", value_name = "NAME", value_delimiter = ',')]
    strategies: Vec<Contender>,

    /// Show only this part
    #[arg(long)]
    only: Option<Part>,

    /// Print one JSON object instead of tables
    #[arg(long)]
    pub(crate) json: bool,
}

/// A part of the demonstration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Many buyers, few units, one each
    Race,
    /// Buyers order as fast as they can
    Flood,
}

impl Options {
    /// Refuses what cannot be shown, each by itself allowed though it may be.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        if self.shows(Part::Flood)
            && !self.shows(Part::Race)
            && self.strategies == [Contender::Naive]
        {
            return Err(
                "naive takes part in the race only: it writes fewer rows than the others, to a \
                table of its own, so its speed says nothing"
                    .into(),
            );
        }
        Ok(())
    }

    pub(crate) fn shows(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
    }

    /// Who takes part on PostgreSQL.
    pub(crate) fn contenders(&self, part: Part) -> Vec<Contender> {
        let wanted = |contender: &Contender| {
            self.strategies.is_empty() || self.strategies.contains(contender)
        };
        Contender::ON_POSTGRES
            .into_iter()
            .filter(wanted)
            .filter(|contender| part == Part::Race || *contender != Contender::Naive)
            .collect()
    }

    /// How many buyers, where the server has `room` for so many connections more.
    pub(crate) fn buyers(&self, part: Part, room: u32) -> Result<u32, Fault> {
        match self.buyers {
            Some(buyers) if buyers > room => Err(format!(
                "--buyers {buyers} needs as many connections, and the server has {room} left (see SHOW \
                 max_connections, and who else is connected)"
            )
            .into()),
            Some(buyers) => Ok(buyers),
            None if room == 0 => Err("the server has no connection left (see SHOW max_connections)".into()),
            None => Ok(room.min(match part {
                Part::Race => 64,
                Part::Flood => 32,
            })),
        }
    }

    /// Buyers of the last rows, in which combined shows what more of them do for it, beside what is written by
    /// hand: by default. They share the connections of the others.
    pub(crate) const fn crowd(&self) -> Option<u32> {
        if self.buyers.is_none() {
            Some(256)
        } else {
            None
        }
    }

    /// Connections for the larger of the parts that are shown.
    pub(crate) fn most_buyers(&self, room: u32) -> Result<u32, Fault> {
        let mut most = 0;
        for part in [Part::Race, Part::Flood] {
            if self.shows(part) {
                most = most.max(self.buyers(part, room)?);
            }
        }
        Ok(most)
    }

    pub(crate) fn stock(&self, part: Part) -> Result<Stock, Fault> {
        Ok(match (self.stock, part) {
            (Some(units), _) => Stock::new(units)?,
            (None, Part::Race) => Stock::new(10)?,
            (None, Part::Flood) => Stock::MAX,
        })
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=600.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("not a number of seconds within 0.1 and 600".to_owned()),
    }
}
