//! The hook of a host, which runs in the transaction of each accepted checkout.

mod accepted;
mod context;
mod delivery;
mod dropped;
mod host_transaction;
mod many;
pub mod outbox;
mod refused;
