//! The ledger, and what is read from it.

pub(crate) mod audit;
pub(crate) mod feed;
pub(crate) mod movements;
pub(crate) mod report;
