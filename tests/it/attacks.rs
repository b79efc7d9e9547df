//! Every operation in every surrounding that once broke one: a table of operations, a table of surroundings, and
//! a loop over both. `postgres` does so for rows and transactions, `inventory` for the inventory.
//!
//! A pair of operation and surrounding is a cell. In each cell the surrounding is created and seen to act, and the
//! operation's answer is compared with what is stored. The number before a surrounding's name groups those of one
//! kind: 1 isolation levels, 2 triggers, 3 policies, 4 rows that the host refuses, 5 locks, 6 timeouts, 7 backlogs,
//! 8 to 10 lost connections, 11 cancellation, 12 refused connections, 13 dropped futures, 14 runtimes and panics,
//! 15 pools, 16 schema changes, 17 tables of the same names, 18 repeated requests, 19 largest numbers, 20 clocks.

mod inventory;
mod pools;
mod postgres;
pub mod runtimes;

/// The result of a cell.
#[derive(Debug)]
pub enum Cell {
    Passed,
    /// With the reason.
    CannotApply(&'static str),
}
