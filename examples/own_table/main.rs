//! Optimistic locking on a table of the host's own: accounts, and 64 writers who move money between
//! them. Whatever they do, the sum stays.
//!
//! `cargo run --release --example own_table` (`-- --help` for its options). It uses the server at
//! `DATABASE_URL`, in a database of its own, or starts a throwaway one.

mod account;
mod story;
mod way;

use std::{
    error::Error,
    io::{IsTerminal, stdout},
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::{Parser, value_parser};
use comfy_table::{Cell, CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use indicatif::{ProgressBar, ProgressStyle};
use optilock::postgres::pool_options;
use tokio::task::JoinSet;

use crate::{
    account::Bank,
    way::{Tally, Way},
};
use support::{Durability, Server, signal::interrupted};

type Fault = Box<dyn Error + Send + Sync>;

/// Moves money between accounts with many writers at once, in three ways, and checks that none of it
/// was lost or made.
#[derive(Debug, Parser)]
#[command(name = "own_table")]
struct Options {
    /// Writers at the same time: 1 to 1,000
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = value_parser!(u32).range(1..=1_000))]
    writers: u32,

    /// Accounts among which they choose at random: 2 to 10,000
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = value_parser!(i64).range(2..=10_000))]
    accounts: i64,

    /// How long each way takes, in seconds: 1 to 600
    #[arg(long, value_name = "S", default_value_t = 2, value_parser = value_parser!(u64).range(1..=600))]
    seconds: u64,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            let mut source: Option<&dyn Error> = Some(&*fault);
            let mut said = Vec::new();
            while let Some(error) = source {
                said.push(error.to_string());
                source = error.source();
            }
            eprintln!("own_table: {}", said.join(": "));
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), Fault> {
    let server = Server::find_or_start(Durability::Durable)?;
    println!("{}", server.version());
    tokio::runtime::Runtime::new()?.block_on(async {
        tokio::select! {
            shown = show(options, &server) => shown,
            () = interrupted() => Err("interrupted".into()),
        }
    })
}

/// In a database of its own, which goes when this ends or is dropped.
async fn show(options: &Options, server: &Server) -> Result<(), Fault> {
    let database = server.create_database("own_table").await?;
    // Fewer connections than writers: who has to wait for one holds none meanwhile.
    let pool = pool_options()
        .max_connections(32)
        .acquire_timeout(Duration::from_secs(30))
        .connect_with(database.options())
        .await?;
    let bank = Bank::open(&pool, options.accounts).await?;
    let shown = play(options, &bank).await;
    pool.close().await;
    database.remove().await?;
    shown
}

async fn play(options: &Options, bank: &Bank) -> Result<(), Fault> {
    println!(
        "\nOne conflict, step by step\n\n{}",
        story::tell(bank).await?
    );
    let (accounts, writers) = (options.accounts, options.writers);
    println!(
        "{writers} writers, {accounts} accounts, {} s each\n",
        options.seconds
    );
    let bar = ProgressBar::new(Way::ALL.len() as u64).with_style(
        ProgressStyle::with_template("{bar:30.cyan} {pos}/{len} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "way",
        "transfers/s",
        "attempts\nmean",
        "attempts\nat most",
        "sum",
    ]);
    for way in Way::ALL {
        bar.set_message(way.name());
        let before = bank.books().await?;
        let tally = crowd(bank, way, options).await?;
        let after = bank.books().await?;
        bar.inc(1);
        // What this program is about.
        assert_eq!(
            after.sum,
            before.sum,
            "{}: money was lost or made",
            way.name()
        );
        let counted = after.versions - before.versions;
        assert_eq!(
            counted,
            tally.written,
            "{}: a write without its version",
            way.name()
        );
        let rate = tally.transfers as f64 / options.seconds as f64;
        let mean = tally.attempts as f64 / tally.transfers.max(1) as f64;
        let number = |text: String| Cell::new(text).set_alignment(CellAlignment::Right);
        table.add_row([
            Cell::new(way.name()),
            number(format!("{rate:.0}")),
            number(format!("{mean:.2}")),
            number(tally.attempts_most.to_string()),
            Cell::new("stays").fg(comfy_table::Color::Green),
        ]);
    }
    bar.finish_and_clear();
    // https://no-color.org: set and not empty.
    let colourless = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if colourless || !stdout().is_terminal() {
        table.force_no_tty();
    }
    println!(
        "{table}\n\nNobody lost a write: the sum is what it was, and every write has its version."
    );
    Ok(())
}

/// All writers until the time is up.
async fn crowd(bank: &Bank, way: Way, options: &Options) -> Result<Tally, Fault> {
    let end = Instant::now() + Duration::from_secs(options.seconds);
    let mut writers = JoinSet::new();
    for _ in 0..options.writers {
        let bank = bank.clone();
        writers.spawn(async move {
            let mut tally = Tally::default();
            while Instant::now() < end {
                way.transfer(&bank, &mut tally).await?;
            }
            Ok::<_, Fault>(tally)
        });
    }
    let mut all = Tally::default();
    while let Some(tally) = writers.join_next().await {
        all.add(&tally??);
    }
    Ok(all)
}
