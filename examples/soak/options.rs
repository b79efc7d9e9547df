//! The command line.

use std::time::Duration;

use clap::{Args, Parser, Subcommand, value_parser};

use crate::faults;

/// Sends random requests to inventories in several processes while faults happen, and checks every answer against
/// the rows.
///
/// It always starts a throwaway server, which it crashes. The seed decides the requests of each buyer and the times
/// of the faults. The interleaving is the machine's: a second run of a seed has the same load, not the same order of
/// events.
#[derive(Debug, Parser)]
#[command(name = "soak")]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) client: Option<Client>,

    #[command(flatten)]
    pub(crate) run: Run,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Run {
    /// Duration with faults, in minutes: 0.1 to 10,000
    #[arg(long, value_name = "N", default_value = "1", value_parser = minutes)]
    pub(crate) minutes: Duration,

    /// Seed of requests and faults [default: random, and printed]
    #[arg(long)]
    pub(crate) seed: Option<u64>,

    /// Client processes: 1 to 16. By turns they sell by each strategy, batched, and batched with connection reuse
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u32).range(1..=16))]
    pub(crate) clients: u32,

    /// Buyers in each client process: 1 to 256
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = value_parser!(u32).range(1..=256))]
    pub(crate) buyers: u32,

    /// Only these faults: a comma-separated list [default: all]
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = faults::names())]
    pub(crate) only: Vec<String>,

    /// Without these faults
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = faults::names())]
    pub(crate) without: Vec<String>,

    /// Print each fault with its time
    #[arg(long)]
    pub(crate) verbose: bool,
}

/// A process that the supervisor starts.
#[derive(Debug, Subcommand)]
pub(crate) enum Client {
    /// Sends the requests of some buyers. For the supervisor only.
    #[command(hide = true)]
    Buy(Settings),
    /// Delivers goods, cleans up and reads the outbox. For the supervisor only.
    #[command(hide = true)]
    Keep(Settings),
}

/// What the supervisor tells a client process.
#[derive(Clone, Debug, Args)]
pub(crate) struct Settings {
    #[arg(long)]
    pub(crate) url: String,
    #[arg(long)]
    pub(crate) seed: u64,
    #[arg(long)]
    pub(crate) number: u32,
    #[arg(long)]
    pub(crate) buyers: u32,
}

fn minutes(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(minutes) if (0.1..=10_000.0).contains(&minutes) => {
            Ok(Duration::from_secs_f64(minutes * 60.0))
        }
        _ => Err("not a number of minutes between 0.1 and 10,000".to_owned()),
    }
}
