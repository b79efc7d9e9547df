pub mod classification;
pub mod pool;
mod regressions;
pub mod repository;
pub mod row;
pub mod transaction;

/// Re-exported for the regression tests.
pub mod transaction_end {
    pub use crate::support::notes::{note, notes, raw, with_notes};
}
