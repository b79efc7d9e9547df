//! Every operation in every surrounding that once broke one: a table of operations, a table of surroundings, and
//! a loop over both. `inventory` does so for the inventory by each strategy and through each layer, `memory` for the
//! inventory in memory, and `postgres` for rows and transactions.
//!
//! A pair of operation and surrounding is a cell. In each cell the surrounding is created and seen to act, and the
//! operation's answer is compared with what is stored. The number before a surrounding's name groups those of one
//! kind: 1 isolation levels, 2 triggers, 3 policies, 4 rows that the host refuses, 5 locks, 6 timeouts, 7 backlogs,
//! 8 to 10 lost connections, 11 cancellation, 12 refused connections, 13 dropped futures, 14 runtimes and panics,
//! 15 pools, 16 schema changes, 17 objects of the same names, 18 repeated requests, 19 largest numbers, 20 clocks.
//!
//! Each group of surroundings is a test. A run without the ignored tests has two cells in five, always the same ones.
//! With `cargo test --test it attacks -- --include-ignored` all of them are run, and the last group prints the matrix.

mod hostile;
pub mod inventory;
mod known_failures;
mod matrix;
mod memory;
mod passwords;
mod pools;
mod postgres;
mod public_api;
mod report;
pub mod runtimes;

use matrix::{Cell, Group, Harness, Surrounding, surroundings};

/// How often a future is dropped in a run of all cells. One that ends after few polls is dropped [`EACH_POLL`] times
/// after each of them instead.
const ENOUGH_DROPS: u32 = 300;

const EACH_POLL: u32 = 10;
