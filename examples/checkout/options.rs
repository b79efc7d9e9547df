//! The command line.

use std::time::Duration;

use clap::{Parser, ValueEnum, value_parser};
use optilock::inventory::Stock;

use crate::{error::BoxError, method::Method};

/// Compares strategies of selling from a PostgreSQL database: overselling, and the throughput of checkouts and
/// of whole sales.
///
/// Creates a database on the server at DATABASE_URL and drops it at the end. If DATABASE_URL is not set,
/// starts a throwaway server and removes it at the end.
#[derive(Debug, Parser)]
#[command(name = "checkout")]
pub(crate) struct Options {
    /// Concurrent buyers, each with a connection: 1 to 256 [default: race 64, flood 32, then 256 that
    /// share the connections, as in the sale]
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=256))]
    buyers: Option<u32>,

    /// Units of each product at the start [default: race 10, flood and sale the maximum]
    #[arg(long, value_name = "N", value_parser = value_parser!(i64).range(1..=Stock::MAX.get()))]
    stock: Option<i64>,

    /// Products of the flood, chosen at random: 1 to 10,000. The race and the sale have one
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u32).range(1..=10_000))]
    pub(crate) skus: u32,

    /// Duration of the flood for each strategy, in seconds: 0.1 to 600. The sale takes one at most
    #[arg(long, value_name = "S", default_value = "3", value_parser = seconds)]
    pub(crate) seconds: Duration,

    /// Strategy to run; may be repeated, or a comma-separated list [default: all; in the sale
    /// for_update_by_hand and batched]
    #[arg(long = "strategy", value_name = "NAME", value_delimiter = ',')]
    strategies: Vec<Method>,

    /// Run only this part
    #[arg(long)]
    only: Option<Part>,

    /// Print one JSON object instead of tables
    #[arg(long)]
    pub(crate) json: bool,
}

/// A part of the demonstration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// More buyers than units, one checkout each
    Race,
    /// Buyers send checkouts as fast as they can
    Flood,
    /// Buyers reserve, buy and pay as fast as they can
    Sale,
}

impl Options {
    /// Rejects combinations of options that leave nothing to run.
    pub(crate) fn check(&self) -> Result<(), BoxError> {
        if !self.runs(Part::Race) && self.strategies == [Method::Naive] {
            return Err(
                "naive runs in the race only: it writes fewer rows than the other strategies, so its \
                 throughput is not comparable"
                    .into(),
            );
        }
        Ok(())
    }

    pub(crate) fn runs(&self, part: Part) -> bool {
        self.only.is_none_or(|only| only == part)
    }

    /// Returns the methods to run on PostgreSQL.
    pub(crate) fn methods(&self, part: Part) -> Vec<Method> {
        let wanted =
            |method: &Method| self.strategies.is_empty() || self.strategies.contains(method);
        Method::ON_POSTGRES
            .into_iter()
            .filter(wanted)
            .filter(|method| part == Part::Race || *method != Method::Naive)
            .filter(|method| {
                part != Part::Sale
                    || !self.strategies.is_empty()
                    || matches!(method, Method::ForUpdateByHand | Method::Batched)
            })
            .collect()
    }

    /// Returns the number of buyers, where the server has `free` connections left.
    pub(crate) fn buyers(&self, part: Part, free: u32) -> Result<u32, BoxError> {
        match self.buyers {
            Some(buyers) if buyers > free => Err(format!(
                "--buyers {buyers} needs as many connections, the server has {free} left (see SHOW \
                 max_connections and pg_stat_activity)"
            )
            .into()),
            Some(buyers) => Ok(buyers),
            None if free == 0 => {
                Err("the server has no connection left (see SHOW max_connections)".into())
            }
            None => Ok(free.min(match part {
                Part::Race => 64,
                Part::Flood | Part::Sale => 32,
            })),
        }
    }

    /// Returns the number of buyers of the sale and for the last rows of the flood, which compare `batched` with
    /// `for_update_by_hand` under more load; `None` if the number of buyers is given. These buyers share the
    /// connections.
    pub(crate) const fn many_buyers(&self) -> Option<u32> {
        if self.buyers.is_none() {
            Some(256)
        } else {
            None
        }
    }

    /// Returns the number of connections that the larger of the parts needs.
    pub(crate) fn most_buyers(&self, free: u32) -> Result<u32, BoxError> {
        let mut most = 0;
        for part in [Part::Race, Part::Flood, Part::Sale] {
            if self.runs(part) {
                most = most.max(self.buyers(part, free)?);
            }
        }
        Ok(most)
    }

    pub(crate) fn stock(&self, part: Part) -> Result<Stock, BoxError> {
        Ok(match (self.stock, part) {
            (Some(units), _) => Stock::new(units)?,
            (None, Part::Race) => Stock::new(10)?,
            (None, Part::Flood | Part::Sale) => Stock::MAX,
        })
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=600.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("not a number of seconds between 0.1 and 600".to_owned()),
    }
}
