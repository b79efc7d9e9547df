//! Failovers from a primary to its standby, and reads of a standby that lags behind.

mod asynchronous;
pub mod buyers;
mod lagging;
pub mod pair;
mod synchronous;
mod waiting_commits;
