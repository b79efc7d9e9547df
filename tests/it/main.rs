//! One binary for all integration tests: a folder per floor of the crate.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "tests")]

mod support;

mod attacks;
mod batch;
mod core;
mod examples;
mod inventory;
mod postgres;
mod regressions;
