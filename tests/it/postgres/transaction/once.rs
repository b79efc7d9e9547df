//! Transactions that take effect once for a key.

mod answers;
mod drops;
mod effects;
mod expiry;
mod keys;
mod late;
mod lost_commits;
mod pairs;
mod suppressed;
mod tables;
mod unknown;
