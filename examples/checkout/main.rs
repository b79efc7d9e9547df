//! Compares strategies of selling on a real PostgreSQL: which oversell, and how fast each is.
//!
//! `cargo run --release --example checkout` (`-- --help` for its options). It creates a database on the
//! server at `DATABASE_URL`, or starts a throwaway server.

mod buyers;
mod by_hand;
mod demo;
mod error;
mod flood;
mod method;
mod naive;
mod options;
mod race;
mod report;
mod seller;
mod shop;
mod summary;
mod table;
mod walkthrough;

use std::process::ExitCode;

use clap::Parser;
use support::{Durability, Server, signal};

use crate::{demo::Demo, error::BoxError, options::Options, report::Report};

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(report) => exit_code(&report),
        Err(error) => {
            eprintln!("checkout: {}", support::chain(&*error));
            ExitCode::FAILURE
        }
    }
}

fn exit_code(report: &Report) -> ExitCode {
    let failures = report.failures();
    for failure in &failures {
        eprintln!("checkout: {failure}");
    }
    if failures.is_empty() && report.books_balance {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn run(options: &Options) -> Result<Report, BoxError> {
    options.check()?;
    let server = match Server::find_or_start(Durability::Durable) {
        Ok(server) => {
            server.create_wal_segments(32)?;
            Some(server)
        }
        Err(missing @ support::Error::NotFound(_)) => {
            eprintln!("+------------------------------------------------------------------+");
            eprintln!("|  NO POSTGRESQL: this runs in memory. The SQL was NOT exercised.  |");
            eprintln!("+------------------------------------------------------------------+");
            eprintln!("{missing}");
            None
        }
        Err(error) => return Err(error.into()),
    };
    let demo = Demo { options };
    tokio::runtime::Runtime::new()?.block_on(async {
        tokio::select! {
            report = async {
                match &server {
                    Some(server) => demo.on_postgres(server).await,
                    None => demo.in_memory().await,
                }
            } => report,
            () = signal::interrupted() => Err("interrupted".into()),
        }
    })
}
