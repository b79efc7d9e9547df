//! 0: nothing disturbs the operation, and it does what its row of the table says.

use super::{Cell, Harness, Variant};

pub async fn run(harness: &Harness, variant: &Variant, cell: &str) -> Cell {
    harness.expect_done(variant, cell).await;
    Cell::Passed
}
