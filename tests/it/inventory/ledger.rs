//! Movements, the report, and the numbers that the ledger and the products keep.

mod adjustments;
mod audit;
mod feed;
mod foreign_rows;
mod report;
mod set_back;
mod suppressed_changes;
mod times;
