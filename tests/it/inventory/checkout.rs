//! Checkouts on PostgreSQL: concurrent buyers, lost connections, refused writes.

pub mod exactly_once;
mod read_only_server;
mod scenarios;
mod storms;
mod suppressed_writes;
mod terminated_backends;
