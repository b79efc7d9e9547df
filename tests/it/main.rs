//! One binary for all integration tests.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "tests")]

#[path = "../../examples/support/postgres.rs"]
mod support;

mod db;
mod goods;
mod proxy;

mod contract;
mod exactly_once;
mod host_transaction;
mod migrate;
mod scenarios;
mod storms;
mod throwaway;
