//! 0: nothing disturbs the operation. 7 and 20: nothing of it depends on a backlog or on a clock.

use super::{Cell, Harness, Operation};

pub async fn run(harness: &Harness, operation: &&Operation, cell: &str) -> Cell {
    harness.expect_done(operation, cell).await;
    Cell::Passed
}

pub async fn backlog(_: &Harness, _: &&Operation, _: &str) -> Cell {
    Cell::CannotApply("its statements find rows by their key; nothing waits to be cleaned up")
}

pub async fn clocks(_: &Harness, _: &&Operation, _: &str) -> Cell {
    Cell::CannotApply("versions are counted; no time is read or stored")
}
