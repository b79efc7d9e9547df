//! The ledger, and the reads of it: movements, feed, audit and report.

pub(crate) mod audit;
pub(crate) mod feed;
pub(crate) mod movements;
pub(crate) mod report;
