//! The hook of a host, which runs in the transaction of each accepted checkout.

mod accepted;
mod delivery;
mod dropped;
mod host_transaction;
mod outbox;
mod refused;
