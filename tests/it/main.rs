//! One binary for all integration tests.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "tests")]


mod bank;
mod db;
mod goods;
mod proxy;

mod adjustments;
mod attacks;
mod audit;
mod bad_input;
mod bugs;
mod bulk;
mod cached_stock;
mod clean_ups;
mod combined;
mod compile_errors;
mod contract;
mod dropped;
mod edges;
mod exactly_once;
mod existing_table;
mod expired_holds;
mod feed;
mod hook;
mod host_transaction;
mod hostile;
mod ledger;
mod metrics;
mod migrate;
mod modify;
mod operations;
mod order_life;
mod order_races;
mod pause;
mod plans;
mod pool_return;
mod refusals;
mod regressions;
mod report;
mod reservation_storm;
mod reservations;
mod row_types;
mod rows;
mod same_answers;
mod scenarios;
mod serde;
mod spawned;
mod steps;
mod storefront;
mod storms;
mod suppressed_writes;
mod throwaway;
mod transact;
mod transaction_end;
mod verify;
