//! Checkouts on PostgreSQL: lost connections, concurrent calls, refused writes.

pub mod exactly_once;
mod read_only_server;
mod suppressed_writes;
mod terminated_backends;
