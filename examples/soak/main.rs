//! A soak test that can be run again: random requests from several processes, and faults, by a seed.
//!
//! `cargo run --release --example soak -- --minutes 30 --seed 7` (`-- --help` for its options). It starts a throwaway
//! server, kills backends, client processes and the postmaster, cuts and delays connections, locks rows, and changes
//! roles, tables and triggers. Buyers of every kind of inventory send requests meanwhile. At the end it compares every
//! answer that they had with the rows, runs the audit, and checks the balance of all tables by SQL of its own. It requires
//! Unix.

mod check;
mod client;
mod faults;
mod goods;
mod options;
mod processes;
mod proxy;
mod record;
mod report;
mod request;
mod stage;
mod supervisor;

use std::{error::Error, process::ExitCode};

use clap::Parser;
use support::signal;

use crate::options::Options;

/// Any error that ends a process.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("soak: {}", support::chain(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Returns the number of violations.
fn run(options: Options) -> Result<usize, BoxError> {
    let runtime = tokio::runtime::Runtime::new()?;
    if let Some(client) = options.client {
        return runtime.block_on(client::run(client)).map(|()| 0);
    }
    let server = supervisor::start_server()?;
    runtime.block_on(async {
        tokio::select! {
            violations = supervisor::run(server, &options.run) => violations,
            () = signal::interrupted() => Err("interrupted".into()),
        }
    })
}
