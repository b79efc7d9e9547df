//! One binary for all integration tests.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "tests")]

#[path = "../../examples/support/postgres.rs"]
mod support;

mod db;
mod goods;

mod contract;
mod throwaway;
