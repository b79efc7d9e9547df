//! One binary for all integration tests.

#[path = "../../examples/support/postgres.rs"]
mod support;

mod throwaway;
