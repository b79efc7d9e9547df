//! All integration tests, in one binary. A folder of tests per floor of the crate; `attacks` crosses the floors.
#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, reason = "tests")]

mod support;

mod attacks;
mod batch;
mod core;
mod engines;
mod examples;
mod failover;
mod fuzz;
mod guide;
mod histories;
mod inventory;
mod postgres;
mod recipes;
