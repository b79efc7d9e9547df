//! Recorded histories of concurrent transactions under faults, checked for the anomalies that each isolation level
//! excludes.
//!
//! The checker is [adya](https://docs.rs/adya), which infers the dependencies of transactions from what they read and
//! appended, as Elle does, and searches them for cycles. What it takes and finds:
//!
//! - Every element of a list is appended once, and a read returns the whole list. From that it knows the order of all
//!   appends.
//! - G0, G1a, G1b, G1c, G-single, G-nonadjacent, lost updates and G2-item, and each of them with the order in real
//!   time.
//! - A transaction with an unknown outcome counts if one of its appends was read. A refused one must not be read.
//!
//! What it does not find, and what closes the gap:
//!
//! - An acknowledged append that is missing, a stored one that no transaction made, or a part of a transaction:
//!   [`effects`](effects::Effects) compares every outcome with what is stored.
//! - A misspelt model excludes nothing, and a search may end without a verdict: [`level`](level::Level) panics at
//!   both.
//! - Predicates: a row that a transaction would have read if it had existed. No operation of the crate reads a
//!   predicate and decides by it.
//!
//! The tests in `checker` show that it finds each anomaly, and that it agrees with a search through every serial order.

mod checker;
mod effects;
mod faults;
mod history;
mod inventory;
mod level;
mod lists;
mod recorder;
mod rows;
mod transact;
