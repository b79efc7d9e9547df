//! The command line.

use clap::{Parser, value_parser};

/// Moves money between accounts with many concurrent writers, by three operations, and checks that the sum
/// does not change.
#[derive(Debug, Parser)]
#[command(name = "own_table")]
pub(crate) struct Options {
    /// Concurrent writers: 1 to 1,000
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = value_parser!(u32).range(1..=1_000))]
    pub(crate) writers: u32,

    /// Accounts, chosen at random: 2 to 10,000
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = value_parser!(i64).range(2..=10_000))]
    pub(crate) accounts: i64,

    /// Duration of each operation, in seconds: 1 to 600
    #[arg(long, value_name = "S", default_value_t = 2, value_parser = value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
}
