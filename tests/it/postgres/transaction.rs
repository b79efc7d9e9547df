//! Transactions, whole attempts retried.

mod counter;
mod ending;
mod host;
mod lost_connection;
mod once;
mod options;
mod retries;
mod transact;
