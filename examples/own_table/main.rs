//! Optimistic locking on a table of the application: 64 writers move money between accounts, and the sum
//! stays constant.
//!
//! `cargo run --release --example own_table` (`-- --help` for its options). It creates a database on the
//! server at `DATABASE_URL`, or starts a throwaway server.

mod account;
mod operation;
mod options;
mod walkthrough;

use std::{
    error::Error,
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use optilock::postgres::pool_options;
use support::{
    Durability, Server,
    signal::interrupted,
    table::{Cell, Table},
};
use tokio::task::JoinSet;

use crate::{
    account::Bank,
    operation::{Operation, Tally},
    options::Options,
};

type BoxError = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("own_table: {}", support::chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), BoxError> {
    let server = Server::find_or_start(Durability::Durable)?;
    println!("{}", server.version());
    tokio::runtime::Runtime::new()?.block_on(async {
        tokio::select! {
            result = run_on(&server, options) => result,
            () = interrupted() => Err("interrupted".into()),
        }
    })
}

/// Runs in a new database, which is dropped at the end and when the future is dropped.
async fn run_on(server: &Server, options: &Options) -> Result<(), BoxError> {
    let database = server.create_database("own_table").await?;
    // Fewer connections than writers: a writer that waits for one holds none.
    let pool = pool_options()
        .max_connections(32)
        .acquire_timeout(Duration::from_secs(30))
        .connect_with(database.options())
        .await?;
    let bank = Bank::open(&pool, options.accounts).await?;
    let result = demonstrate(&bank, options).await;
    pool.close().await;
    database.remove().await?;
    result
}

async fn demonstrate(bank: &Bank, options: &Options) -> Result<(), BoxError> {
    println!(
        "\nOne conflict, step by step\n\n{}",
        walkthrough::run(bank).await?
    );
    println!(
        "{} writers, {} accounts, {} s per operation\n",
        options.writers, options.accounts, options.seconds
    );
    let bar = ProgressBar::new(Operation::ALL.len() as u64).with_style(
        ProgressStyle::with_template("{bar:30.cyan} {pos}/{len} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar()),
    );
    let mut table = Table::new([
        "operation",
        "transfers/s",
        "attempts\nmean",
        "attempts\nat most",
        "sum",
    ]);
    for operation in Operation::ALL {
        let name = operation.name();
        bar.set_message(name);
        let before = bank.totals().await?;
        let tally = transfer(bank, operation, options).await?;
        let after = bank.totals().await?;
        bar.inc(1);
        assert_eq!(after.sum, before.sum, "{name}: the sum changed");
        assert_eq!(
            after.writes - before.writes,
            tally.written,
            "{name}: the number of versions differs from the number of writes"
        );
        let rate = tally.transfers as f64 / options.seconds as f64;
        let mean = tally.attempts as f64 / tally.transfers.max(1) as f64;
        table.add_row([
            Cell::new(name),
            Cell::number(format!("{rate:.0}")),
            Cell::number(format!("{mean:.2}")),
            Cell::number(tally.attempts_max),
            Cell::new("unchanged").good(true),
        ]);
    }
    bar.finish_and_clear();
    println!(
        "{table}\n\nNo update was lost: the sum is unchanged, and each write has incremented a version."
    );
    Ok(())
}

/// Runs the operation in all writers until the time is over.
async fn transfer(bank: &Bank, operation: Operation, options: &Options) -> Result<Tally, BoxError> {
    let end = Instant::now() + Duration::from_secs(options.seconds);
    let mut writers = JoinSet::new();
    for _ in 0..options.writers {
        let bank = bank.clone();
        writers.spawn(async move {
            let mut tally = Tally::default();
            while Instant::now() < end {
                operation.transfer(&bank, &mut tally).await?;
            }
            Ok::<_, BoxError>(tally)
        });
    }
    let mut total = Tally::default();
    while let Some(tally) = writers.join_next().await {
        total.add(&tally??);
    }
    Ok(total)
}
